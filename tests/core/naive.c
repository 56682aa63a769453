/* The passes of naive.h: forward, loss, gradient. */
#include "naive.h"

#include <math.h>
#include <string.h>

/* The rounding error of a sum of n terms, relative to the sum of their absolute values: (n + 1) epsilon / 2 in the
 * core, as much here, and terms of second order. */
static double rounding(const run *r, size_t n) { return (double)(n + 2) * r->epsilon; }

static void add(bounded *sum, bounded a, double relative) {
    sum->value += a.value;
    sum->error += a.error + relative * fabs(a.value);
}

static bounded product(const run *r, bounded a, bounded b, double relative) {
    double value = a.value * b.value;
    double passed_on = fabs(a.value) * b.error + fabs(b.value) * a.error + a.error * b.error;
    return (bounded){value, passed_on + relative * fabs(value) + r->smallest};
}

static void add_product(const run *r, bounded *sum, bounded a, bounded b, double relative) {
    bounded term = product(r, a, b, relative);
    sum->value += term.value;
    sum->error += term.error;
}

/* -- forward ----------------------------------------------------------------------------------------------------- */

activities make_activities(run *r, const model *m) {
    activities a;
    for (size_t l = 0; l < m->net.n_layers; l++) {
        a.z[l] = take(r, m->layers[l].n_outputs * sizeof(bounded));
        a.y[l] = take(r, m->layers[l].n_outputs * sizeof(bounded));
    }
    return a;
}

/* y = exp z / sum exp z. A change of all z by at most E changes y by a factor of at most exp 2E. The kernel's error is
 * at most 4 + (largest z - z) spacings, and that of the arithmetic here less. */
static void softmax(const run *r, const bounded *z, bounded *y, size_t O) {
    double largest = z[0].value, sum = 0, error = 0;
    for (size_t o = 0; o < O; o++) {
        largest = fmax(largest, z[o].value);
        error = fmax(error, z[o].error);
    }
    for (size_t o = 0; o < O; o++) sum += exp(z[o].value - largest);
    for (size_t o = 0; o < O; o++) {
        double value = exp(z[o].value - largest) / sum, ulps = 2 * (4 + largest - z[o].value);
        y[o] = (bounded){value, value * (expm1(2 * error) + ulps * r->epsilon) + r->smallest};
    }
}

/* y = f(z). The kernel's bound counts twice, for the kernel and for the arithmetic here. */
static void activate(const run *r, const formula *f, const double *h, const bounded *z, bounded *y, size_t O) {
    for (size_t o = 0; o < O; o++) {
        y[o].value = f->value(z[o].value, h);
        y[o].error = f->value_change(z[o], h) + 2 * f->value_bound(r, z[o].value, y[o].value, h);
    }
}

void naive_forward(const run *r, const model *m, const bounded *x, const activities *a) {
    const bounded *w = m->P;
    for (size_t l = 0; l < m->net.n_layers; l++) {
        size_t I = m->layers[l].n_inputs, O = m->layers[l].n_outputs;
        const bounded *b = w + I * O;
        double relative = rounding(r, I + 1);
        for (size_t o = 0; o < O; o++) {
            bounded sum = {0, 0};
            add(&sum, b[o], relative);
            for (size_t i = 0; i < I; i++) add_product(r, &sum, w[o * I + i], x[i], relative);
            a->z[l][o] = sum;
        }
        if (m->formulas[l] == NULL)
            softmax(r, a->z[l], a->y[l], O);
        else
            activate(r, m->formulas[l], m->layers[l].hyper_parameters, a->z[l], a->y[l], O);
        x = a->y[l];
        w = b + O;
    }
}

/* -- loss -------------------------------------------------------------------------------------------------------- */

/* dz of layer l from its dy, in place: dy f'(z). */
static void through_activation(const run *r, const model *m, size_t l, const activities *a, bounded *d) {
    const formula *f = m->formulas[l];
    const double *h = m->layers[l].hyper_parameters;
    for (size_t o = 0; o < m->layers[l].n_outputs; o++) {
        bounded z = a->z[l][o], slope = {f->slope(z.value, h), 0};
        slope.error = f->slope_change(z, a->y[l][o], h) + 2 * f->slope_bound(r, z.value, slope.value, h);
        d[o] = product(r, d[o], slope, rounding(r, 1));
    }
}

/* The factor c in the gradient of the loss, c (y - t), or c ((sum of t) y - t) for softmax. */
static double loss_slope(const model *m) {
    const char *name = m->loss->name;
    if (strcmp(name, "binary_cross_entropy") == 0) return m->layers[m->net.n_layers - 1].hyper_parameters[0];
    if (strcmp(name, "squared_error") == 0) return 2;
    return strcmp(name, "mse") == 0 ? 2.0 / (double)m->O : 1;
}

bounded naive_loss(const run *r, const model *m, const activities *a, const double *t, double scale, bounded *dz) {
    size_t l = m->net.n_layers - 1, O = m->O;
    const bounded *output = m->loss->from_z ? a->z[l] : a->y[l];
    long double outputs[O], targets[O];
    double total = m->formulas[l] == NULL ? 0 : 1, slope = loss_slope(m), change = 0, relative = rounding(r, 4);
    for (size_t o = 0; o < O; o++) {
        outputs[o] = output[o].value;
        targets[o] = t[o];
        if (m->formulas[l] == NULL) total += t[o];
    }
    for (size_t o = 0; o < O; o++) {
        double y = a->y[l][o].value, d = slope * (total * y - t[o]), e = output[o].error;
        change += fabs(d) * e + fabs(slope) * (1 + fabs(slope)) * (1 + total) * e * e;
        if (dz != NULL)
            dz[o] = (bounded){scale * d, scale * fabs(slope) * (total * a->y[l][o].error + relative * total * fabs(y)) +
                                             relative * fabs(scale * slope) * (fabs(t[o]) + fabs(y))};
    }
    if (dz != NULL && !m->loss->from_z) through_activation(r, m, l, a, dz);
    double value = (double)m->loss->value(outputs, targets, O, m->layers[l].hyper_parameters[0], m->loss->h);
    double kernel = m->loss->from_z ? 8 * (double)O * (1 + total) : 0;
    return (bounded){value, change + r->epsilon * (4 * fabs(value) + kernel)};
}

/* -- gradient ---------------------------------------------------------------------------------------------------- */

void naive_row(const run *r, const model *m, const naive_batch *b, size_t i, bounded *x, double *t) {
    size_t row = b->order == NULL ? i : b->order[i];
    const fml_data *data = b->data;
    for (size_t k = 0; k < m->I; k++) {
        size_t at_k = row * m->I + k;
        x[k] = (bounded){data->element == FML_UINT8 ? ((const uint8_t *)data->x)[at_k] : get(r, data->x, at_k), 0};
    }
    for (size_t o = 0; o < m->O; o++)
        t[o] = data->labels != NULL ? data->labels[row] == (int64_t)o : get(r, data->values, row * m->O + o);
}

/* Add the gradient of one row for a layer with the weights w: dw += dz x, db += dz; and write below = dx = dz w. */
static void backward_layer(const run *r, size_t I, size_t O, const bounded *w, const bounded *x, const bounded *dz,
                           bounded *dw, bounded *below, double relative) {
    for (size_t o = 0; o < O; o++) {
        for (size_t i = 0; i < I; i++) add_product(r, &dw[o * I + i], dz[o], x[i], relative);
        add(&dw[O * I + o], dz[o], relative);
    }
    if (below == NULL) return;
    relative = rounding(r, O);
    for (size_t i = 0; i < I; i++) {
        below[i] = (bounded){0, 0};
        for (size_t o = 0; o < O; o++) add_product(r, &below[i], dz[o], w[o * I + i], relative);
    }
}

/* Add the gradients of all layers for one row; d[(L - 1) % 2] is dz of the last layer, and d[0], d[1] are buffers. */
static void backward(const run *r, const model *m, const bounded *x, const activities *a, bounded *const *d,
                     bounded *gradient, bounded *dx, double relative) {
    const bounded *w = m->P + m->net.n_parameters;
    for (size_t l = m->net.n_layers; l-- > 0;) {
        size_t I = m->layers[l].n_inputs, O = m->layers[l].n_outputs;
        bounded *below = l > 0 ? d[(l - 1) % 2] : dx;
        w -= (I + 1) * O;
        backward_layer(r, I, O, w, l > 0 ? a->y[l - 1] : x, d[l % 2], gradient + (w - m->P), below, relative);
        if (l > 0) through_activation(r, m, l - 1, a, below);
    }
}

static size_t widest(const model *m) {
    size_t width = m->I;
    for (size_t l = 0; l < m->net.n_layers; l++)
        if (m->layers[l].n_outputs > width) width = m->layers[l].n_outputs;
    return width;
}

bounded naive_gradient(run *r, const model *m, const naive_batch *b, bounded *gradient, bounded *dx) {
    size_t n_kept = r->n_taken, width = widest(m), last = m->net.n_layers - 1;
    bounded *x = take(r, m->I * sizeof *x), *d[2] = {take(r, width * sizeof *x), take(r, width * sizeof *x)};
    double *t = take(r, m->O * sizeof *t);
    activities a = make_activities(r, m);
    bounded sum = {0, 0};
    if (gradient != NULL) memset(gradient, 0, m->net.n_parameters * sizeof *gradient);
    for (size_t i = 0; i < b->rows; i++) {
        naive_row(r, m, b, i, x, t);
        naive_forward(r, m, x, &a);
        add(&sum, naive_loss(r, m, &a, t, 1.0 / (double)b->rows, d[last % 2]), rounding(r, 1));
        if (gradient == NULL) continue;
        backward(r, m, x, &a, d, gradient, dx == NULL ? NULL : dx + i * m->I, rounding(r, b->rows));
    }
    release(r, n_kept);
    return sum;
}
