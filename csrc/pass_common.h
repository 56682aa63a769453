/* What the passes through a network share: sizes, the pieces of a workspace, rows of data, threads.
 *
 * Private to the files of csrc that make passes; everything here is small and static. A pass allocates
 * from its workspace with an arena, once without memory to learn the size and once with. */
#ifndef FML_PASS_COMMON_H
#define FML_PASS_COMMON_H

#include "core.h"
#include "float_mode.h"

#include <string.h>

static inline size_t padded(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }
static inline size_t size_min(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t size_max(size_t a, size_t b) { return a > b ? a : b; }
static inline void *reals(const fml_network *net, const void *base, size_t n) {
    return (char *)(uintptr_t)base + n * net->kernels->real_size;
}
static inline const fml_layer *last_layer(const fml_network *net) { return &net->layers[net->n_layers - 1]; }

/* -- workspace --------------------------------------------------------------------------------------------------- */

/* Allocates aligned pieces of a workspace, one after another; with base NULL it only counts the bytes. */
typedef struct {
    char *base;
    size_t used;
} arena;

static inline void *arena_alloc(arena *a, size_t bytes) {
    void *piece = a->base == NULL ? NULL : a->base + a->used;
    a->used += padded(bytes, FML_ALIGNMENT);
    return piece;
}

static inline void *arena_alloc_reals(const fml_network *net, arena *a, size_t n) {
    return arena_alloc(a, n * net->kernels->real_size);
}

/* -- rows of data ------------------------------------------------------------------------------------------------ */

static inline size_t element_size(const fml_network *net, fml_element element) {
    const size_t sizes[] = {net->kernels->real_size, 1, 2, 4, 8};
    return sizes[element];
}

/* From one dense row of the inputs to the next. */
static inline size_t row_bytes(const fml_network *net, const fml_data *data) {
    return (data->x_row > 0 ? data->x_row : net->layers[0].n_inputs) * element_size(net, data->element);
}

/* The inputs from row `first` on, as gather_from takes them. */
static inline fml_matrix input_matrix(const fml_network *net, const fml_data *data, size_t first) {
    size_t I = net->layers[0].n_inputs;
    fml_matrix X = {.elements = data->x, .element = data->element, .n_columns = I, .columns = data->columns};
    if (data->begins != NULL)
        X.begins = data->begins + first;
    else
        X.elements = (const char *)data->x + first * row_bytes(net, data);
    X.row = data->x_row;
    if (data->scaling != NULL) X.scaling = data->scaling->inputs;
    return X;
}

/* Whether the inputs are reals that the network takes as they are. */
static inline int are_plain(const fml_data *data) {
    return data->element == FML_REAL && data->begins == NULL && data->x_row == 0 &&
           (data->scaling == NULL || data->scaling->inputs.offset == NULL);
}

/* The inputs of rows first ... of the order (of the data, where that is NULL). With `finite` they are gathered into x,
 * *x_row reals apart, and *finite says whether all are; without, rows that can be read where they stand are not looked
 * at, and *x_row becomes their distance. */
static inline const void *input_rows(const fml_network *net, const fml_data *data, const uint32_t *order, size_t first,
                                     size_t rows, void *x, size_t *x_row, int *finite) {
    size_t I = net->layers[0].n_inputs, begin = order == NULL ? first : 0;
    int plain = are_plain(data), all;
    if (order != NULL) order += first;
    if (plain && order == NULL && finite == NULL) {
        *x_row = I;
        return reals(net, data->x, begin * I);
    }
    if (plain)
        all = net->kernels->gather(reals(net, data->x, begin * I), order, rows, I, x, *x_row);
    else {
        fml_matrix X = input_matrix(net, data, begin);
        all = net->kernels->gather_from(&X, order, rows, x, *x_row);
    }
    if (finite != NULL) *finite = all;
    return x;
}

/* Their targets: where they stand, gathered, or one-hot from the labels. */
static inline const void *target_rows(const fml_network *net, const fml_data *data, const uint32_t *order, size_t first,
                                      size_t rows, void *t) {
    size_t n = net->n_targets, offset = order == NULL ? first : 0;
    if (order != NULL) order += first;
    const fml_affine *scaling = data->scaling == NULL ? NULL : &data->scaling->targets;
    if (data->labels != NULL)
        net->kernels->one_hot(data->labels + offset, order, rows, n, t);
    else if (data->values_element != FML_REAL || (scaling != NULL && scaling->offset != NULL)) {
        size_t bytes = n * element_size(net, data->values_element);
        fml_matrix T = {
            .elements = (const char *)data->values + offset * bytes, .element = data->values_element, .n_columns = n};
        if (scaling != NULL) T.scaling = *scaling;
        net->kernels->gather_from(&T, order, rows, t, n);
    } else if (order == NULL)
        return reals(net, data->values, offset * n);
    else
        net->kernels->gather(data->values, order, rows, n, t, n);
    return t;
}

/* Their weights, where they stand or gathered into w; NULL where each row counts 1. */
static inline const double *row_weights(const fml_data *data, const uint32_t *order, size_t first, size_t rows,
                                        double *w) {
    if (data->weights == NULL || order == NULL) return data->weights == NULL ? NULL : data->weights + first;
    for (size_t i = 0; i < rows; i++) w[i] = data->weights[order[first + i]];
    return w;
}

/* -- the loss ---------------------------------------------------------------------------------------------------- */

/* Each row by itself, with its weight; one of weight 0 is as if it were not there, whatever its loss. */
static inline double weighted_loss(const fml_loss_rows *all) {
    const fml_network *net = all->net;
    size_t O = last_layer(net)->n_outputs;
    fml_loss_rows row = *all;
    double sum = 0;
    row.weights = NULL;
    row.rows = 1;
    for (size_t i = 0; i < all->rows; i++) {
        double w = all->weights[i];
        row.output = reals(net, all->output, i * O);
        row.t = reals(net, all->t, i * net->n_targets);
        row.d = all->d == NULL ? NULL : reals(net, all->d, i * O);
        row.scale = w * all->scale;
        if (w != 0)
            sum += w * net->loss->value_and_gradient(&row);
        else if (row.d != NULL)
            memset(row.d, 0, O * net->kernels->real_size);
    }
    return sum;
}

/* The weighted sum of the losses of rows, and their gradient. */
static inline double loss_of(const fml_loss_rows *rows) {
    const fml_network *net = rows->net;
    if (net->own_loss != NULL) return net->own_loss(net->own_loss_context, rows);
    return rows->weights == NULL ? net->loss->value_and_gradient(rows) : weighted_loss(rows);
}

/* -- threads and interruptions ----------------------------------------------------------------------------------- */

/* So many multiply-adds, about 4 us of one core, must there be for each thread: below that, handing over costs more
 * than it gains (bench/RESULTS.md, "Threads"). */
enum { MULTIPLY_ADDS_OF_A_THREAD = 1 << 18 };

static inline size_t multiply_adds(const fml_network *net) {
    size_t n = 0;
    for (size_t l = 0; l < net->n_layers; l++) n += net->layers[l].n_inputs * net->layers[l].n_outputs;
    return n;
}

/* How many threads a pass over so many rows is worth. */
static inline size_t threads_for(const fml_network *net, size_t rows) {
    if (net->n_threads <= 1 || !net->engine->takes_threads) return 1;
    size_t worth = (size_t)((double)multiply_adds(net) * (double)rows / MULTIPLY_ADDS_OF_A_THREAD);
    return size_max(1, size_min(worth, net->n_threads));
}

static inline void run(size_t n_threads, void (*task)(void *context, size_t i), void *context) {
    if (n_threads == 1)
        task(context, 0);
    else
        fml_parallel(n_threads, task, context);
}

/* Where part `part` of `parts` of n things begins, in whole units. */
static inline size_t part_begin(size_t n, size_t unit, size_t part, size_t parts) {
    size_t units = (n + unit - 1) / unit;
    return size_min(n, units * part / parts * unit);
}

enum {
    MULTIPLY_ADDS_OF_A_LOOK = 1 << 20, /* between two looks at the clock, which cost as much as a small step */
    MULTIPLY_ADDS_OF_A_ROUND = 1 << 30 /* about 20 ms: threads meet after a round, so that signals are heard */
};

/* Whether the poll is due, after so many multiply-adds more, and says stop; the caller's floating-point mode holds
 * while it runs. */
static inline int stopped(fml_poll *poll, size_t work, float_mode callers) {
    if (poll == NULL || poll->stop == NULL) return 0;
    poll->work += work;
    if (poll->interval > 0 && poll->work < MULTIPLY_ADDS_OF_A_LOOK) return 0;
    poll->work = 0;
    double now = fml_seconds();
    if (now - poll->last < poll->interval) return 0;
    float_mode ours = flush_denormals();
    restore_mode(callers);
    int stop = poll->stop(poll->context);
    restore_mode(ours);
    poll->last = fml_seconds();
    return stop;
}

#endif
