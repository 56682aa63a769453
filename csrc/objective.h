/* The objective of a whole-batch method: the mean loss over all rows plus the penalties, as a function of the trainer's
 * parameters. Private to the files of the methods, see method.h. */
#ifndef FASTMLP_OBJECTIVE_H
#define FASTMLP_OBJECTIVE_H

#include "pass_common.h"

typedef struct {
    fml_trainer *trainer;
    fml_pass pass; /* computes the loss and its gradient */
} objective;

/* The objective over the first `rows` rows of data. */
objective objective_of(fml_trainer *trainer, const fml_data *data, size_t rows, fml_poll *poll, void *workspace);
/* Evaluate at the trainer's parameters: *loss = pass.weight * objective, and the trainer's gradient becomes the
 * gradient of the objective. */
fml_status objective_evaluate(const objective *f, double *loss);
/* Set the trainer's parameters to start + step * direction, and evaluate there. */
fml_status objective_evaluate_at(const objective *f, const void *start, double step, const void *direction,
                                 double *loss);

#endif
