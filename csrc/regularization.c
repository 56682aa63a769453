/* Regularisation, see regularization.h: penalties, the shaping of gradients, limits of norms, the average of
 * parameters, noise and dropout.
 *
 * Penalties, weight decay and limits of norms apply to weights, not to biases. A block has the weights and then the
 * biases of each layer, each padded with zeros to whole cache lines. A sum over a block is formed by one thread in the
 * order of the block; elementwise operations are divided among threads.
 *
 * Noise and masks come from a counter-based generator, so they do not depend on the order in which they are computed.
 * Seeds form a tree: key -> step -> stream (one for each use) -> row (in regularization.inc), where a child's seed is
 * fml_random_at(parent's seed, child's number). */
#include "regularization.h"

#include <math.h>
#include <string.h>

/* -- penalty and gradient ---------------------------------------------------------------------------------------- */

double fml_penalty(const fml_network *net, const fml_regularization *r, const void *block, double weight) {
    double absolute = 0, squares = 0;
    float_mode mode = flush_denormals();
    for (size_t l = 0; l < net->n_layers; l++) {
        const fml_layer *layer = &net->layers[l];
        const void *w = reals(net, block, layer->weights);
        size_t n = layer->biases - layer->weights;
        if (r->l1 > 0) absolute += net->kernels->sum_absolute(w, n);
        if (r->l2 > 0) squares += net->kernels->dot(w, w, n);
    }
    restore_mode(mode);
    return (r->l1 * absolute + r->l2 / 2 * squares) / (r->per_row ? weight : 1);
}

int fml_shaping_of(const fml_regularization *r, double weight, double rate, fml_shaping shaping[2]) {
    double by = r->per_row ? weight : 1;
    shaping[1] = (fml_shaping){.kept = 1, .limit = r->clip_value, .scale = 1};
    shaping[0] = shaping[1];
    shaping[0].l1 = r->l1 / by;
    shaping[0].l2 = r->l2 / by;
    shaping[0].kept = 1 - rate * r->weight_decay;
    return r->l1 > 0 || r->l2 > 0 || r->weight_decay > 0 || r->clip_value < INFINITY;
}

void fml_shape(const fml_network *net, const fml_shaping shaping[2], void *block, void *gradient, size_t begin,
               size_t n) {
    size_t end = begin + n;
    for (size_t l = 0; l < net->n_layers; l++) {
        const fml_layer *layer = &net->layers[l];
        size_t next = l + 1 == net->n_layers ? net->n_packed : net->layers[l + 1].weights;
        const size_t edges[] = {layer->weights, layer->biases, next};
        for (int biases = 0; biases < 2; biases++) {
            size_t from = size_max(begin, edges[biases]), to = size_min(end, edges[biases + 1]);
            if (from < to)
                net->kernels->shape(&shaping[biases], reals(net, block, from), reals(net, gradient, from), to - from);
        }
    }
}

/* If the squares or the factor are out of the dtype's range (an exploding gradient; or a gradient so small that its
 * squares are flushed to 0, with a limit as small), the gradient is first scaled by a power of two, to about 1. */
double fml_limiting_factor(const fml_network *net, void *gradient, double max_norm) {
    const fml_kernels *kernels = net->kernels;
    int single = kernels->dtype == FML_F32, min_exponent = single ? -126 : -1022, exponent = 0;
    /* A smaller sum of squares may be inexact because of squares flushed to 0; as in regularization.inc. */
    double inexact = (double)net->n_packed * (single ? 0x1p-102 : 0x1p-969);
    double squares = kernels->dot(gradient, gradient, net->n_packed), norm = sqrt(squares);
    double factor = norm > max_norm ? max_norm / norm : 1;
    if (norm < INFINITY && factor >= ldexp(1, min_exponent) &&
        !(squares < inexact && max_norm * max_norm < 4 * inexact))
        return factor;
    double largest = kernels->max_absolute(gradient, net->n_packed);
    if (largest == 0) return 1;
    if (!(largest < INFINITY && norm == norm)) return NAN;
    frexp(largest, &exponent);
    double scale = ldexp(1, -exponent < min_exponent ? min_exponent : -exponent);
    kernels->combine(scale, gradient, 0, gradient, gradient, net->n_packed);
    norm = sqrt(kernels->dot(gradient, gradient, net->n_packed));
    return norm > max_norm * scale ? max_norm / norm : 1 / scale;
}

/* -- after the update -------------------------------------------------------------------------------------------- */

typedef struct {
    const fml_network *net;
    const fml_regularization *r;
    const void *block;
    uint64_t n_steps;
    size_t n_threads;
} averaging;

static void average_task(void *context, size_t i) {
    const averaging *a = context;
    const fml_network *net = a->net;
    size_t line = FML_ALIGNMENT / net->kernels->real_size;
    size_t begin = part_begin(net->n_packed, line, i, a->n_threads);
    size_t n = part_begin(net->n_packed, line, i + 1, a->n_threads) - begin;
    void *average = reals(net, a->r->average, begin);
    const void *p = reals(net, a->block, begin);
    if (a->n_steps == 1)
        memcpy(average, p, n * net->kernels->real_size);
    else
        net->kernels->interpolate(average, p, n, 1 - a->r->decay);
}

void fml_end_step(const fml_network *net, const fml_regularization *r, void *block, uint64_t n_steps,
                  size_t n_threads) {
    if (r->max_norm < INFINITY)
        for (size_t l = 0; l < net->n_layers; l++) net->engine->limit_norms(net, l, block, r->max_norm);
    averaging a = {net, r, block, n_steps, n_threads};
    if (r->average != NULL) run(n_threads, average_task, &a);
}

/* -- rows -------------------------------------------------------------------------------------------------------- */

/* The numbers of the streams of a step; layer l has FIRST_LAYER_DROPOUT + l. Radius and angle are Box and Muller's. */
enum { NOISE_RADIUS, NOISE_ANGLE, INPUT_DROPOUT, FIRST_LAYER_DROPOUT };

/* The seed of a stream in the step of a pass. */
static uint64_t stream(const fml_pass *pass, uint64_t number) {
    return fml_random_at(fml_random_at(pass->regularization->key, pass->n_steps), number);
}

void fml_perturb_inputs(const fml_pass *pass, size_t first, size_t rows, void *x, size_t x_row) {
    const fml_regularization *r = pass->regularization;
    const fml_kernels *kernels = pass->net->kernels;
    size_t I = pass->net->layers[0].n_inputs;
    const uint64_t seeds[] = {stream(pass, NOISE_RADIUS), stream(pass, NOISE_ANGLE)};
    if (r->input_noise > 0) kernels->add_noise(x, rows, x_row, I, seeds, first, r->input_noise);
    if (r->input_dropout > 0) kernels->drop(x, x, rows, x_row, I, stream(pass, INPUT_DROPOUT), first, r->input_dropout);
}

void fml_drop(const fml_pass *pass, size_t l, size_t first, size_t rows, const void *x, void *y, size_t row) {
    const fml_network *net = pass->net;
    net->kernels->drop(x, y, rows, row, net->layers[l].n_outputs, stream(pass, FIRST_LAYER_DROPOUT + l), first,
                       pass->regularization->dropout[l]);
}
