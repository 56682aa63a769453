/* What a whole-batch method minimises: the loss over all rows with its penalties, and the way to evaluate it.
 *
 * Private to the files of the methods, see method.h. */
#ifndef FASTMLP_OBJECTIVE_H
#define FASTMLP_OBJECTIVE_H

#include "pass_common.h"

typedef struct {
    fml_trainer *trainer;
    fml_pass pass; /* the function is the sum of its rows' losses, divided by pass.weight */
} objective;

/* Over the first `rows` rows of data; the arguments are those of fml_method's iterate. */
objective objective_of(fml_trainer *trainer, const fml_data *data, size_t rows, fml_poll *poll, void *workspace);
/* At the trainer's parameters: the sum of the losses with the penalty, weighted; and, in the trainer's gradient, the
 * gradient of its mean. */
fml_status objective_evaluate(const objective *f, double *loss);
/* Goes to from + step * direction, and evaluates there. */
fml_status objective_evaluate_at(const objective *f, const void *from, double step, const void *direction,
                                 double *loss);

#endif
