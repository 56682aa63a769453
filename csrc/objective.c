/* The objective of a whole-batch method, see objective.h. */
#include "objective.h"

#include "regularization.h"

objective objective_of(fml_trainer *trainer, const fml_data *data, size_t rows, fml_poll *poll, void *workspace) {
    objective f = {.trainer = trainer};
    f.pass = (fml_pass){.net = trainer->net,
                        .block = trainer->block,
                        .data = data,
                        .rows = rows,
                        .weight = fml_total_weight(data, NULL, rows),
                        .gradient = trainer->gradient,
                        .poll = poll,
                        .workspace = workspace};
    return f;
}

fml_status objective_evaluate(const objective *f, double *loss) {
    const fml_network *net = f->pass.net;
    const fml_regularization *r = f->trainer->regularization;
    fml_status status = fml_gradient(&f->pass, loss);
    if (status != FML_OK || r == NULL) return status;
    fml_shaping shaping[2];
    fml_shaping_of(r, f->pass.weight, 0, shaping);
    fml_shape(net, shaping, f->pass.block, f->pass.gradient, 0, net->n_packed);
    *loss += f->pass.weight * fml_penalty(net, r, f->pass.block, f->pass.weight);
    return *loss - *loss == 0 ? FML_OK : FML_LOSS_NOT_FINITE;
}

fml_status objective_evaluate_at(const objective *f, const void *start, double step, const void *direction,
                                 double *loss) {
    const fml_network *net = f->pass.net;
    float_mode mode = flush_denormals();
    net->kernels->combine(step, direction, 1, start, f->pass.block, net->n_packed);
    restore_mode(mode);
    return objective_evaluate(f, loss);
}
