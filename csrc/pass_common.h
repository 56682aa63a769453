/* Helpers for the files of csrc that make passes: sizes, allocation in a workspace, access to rows of data, the
 * weighted loss, the number of threads, and polling. Private to csrc; all functions are small, static and inline.
 *
 * A pass allocates its buffers from the caller's workspace with an arena. The same function runs twice: with a NULL
 * base it computes the size of the workspace, with the workspace it returns the buffers. */
#ifndef FML_PASS_COMMON_H
#define FML_PASS_COMMON_H

#include "core.h"
#include "float_mode.h"

#include <string.h>

static inline size_t ceiling(size_t n, size_t by) { return (n + by - 1) / by; } /* of n / by */
static inline size_t padded(size_t n, size_t unit) { return ceiling(n, unit) * unit; }
static inline size_t size_min(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t size_max(size_t a, size_t b) { return a > b ? a : b; }
/* The address of real n from base on. */
static inline void *reals(const fml_network *net, const void *base, size_t n) {
    return (char *)(uintptr_t)base + n * net->kernels->real_size;
}
static inline const fml_layer *last_layer(const fml_network *net) { return &net->layers[net->n_layers - 1]; }

/* -- workspace --------------------------------------------------------------------------------------------------- */

/* Allocates aligned buffers in a workspace, one after another; if base is NULL, it only counts their bytes. */
typedef struct {
    char *base;
    size_t used;
} arena;

static inline void *arena_alloc(arena *a, size_t bytes) {
    void *buffer = a->base == NULL ? NULL : a->base + a->used;
    a->used += padded(bytes, FML_ALIGNMENT);
    return buffer;
}

static inline void *arena_alloc_reals(const fml_network *net, arena *a, size_t n) {
    return arena_alloc(a, n * net->kernels->real_size);
}

/* -- rows of data ------------------------------------------------------------------------------------------------ */

static inline size_t element_size(const fml_network *net, fml_element element) {
    const size_t sizes[] = {net->kernels->real_size, 1, 2, 4, 8};
    return sizes[element];
}

/* The row stride of dense inputs in bytes. */
static inline size_t row_bytes(const fml_network *net, const fml_data *data) {
    return (data->x_row > 0 ? data->x_row : net->layers[0].n_inputs) * element_size(net, data->element);
}

/* The inputs from row `first` on as an argument of gather_converted. */
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

/* Whether the network can take the inputs as they are: dense contiguous reals without scaling. */
static inline int needs_no_conversion(const fml_data *data) {
    return data->element == FML_REAL && data->begins == NULL && data->x_row == 0 &&
           (data->scaling == NULL || data->scaling->inputs.offset == NULL);
}

/* The rows of data->x that have the inputs of the rows of input_rows, written to picked (rows,). */
static inline const uint32_t *picked_rows(const fml_data *data, const uint32_t *order, size_t first, size_t rows,
                                          uint32_t *picked) {
    for (size_t i = 0; i < rows; i++) picked[i] = data->x_rows[order == NULL ? first + i : order[first + i]];
    return picked;
}

/* The inputs of `rows` rows: order[first], order[first + 1], ..., or first, first + 1, ... if order is NULL; at most
 * FML_MAX_TILE_ROWS of them. They are gathered into x with the row stride *x_row, and *finite tells whether all are
 * finite. If `finite` is NULL and the rows need neither order nor conversion, they are not copied: the result points
 * into the data, and *x_row becomes their stride. */
static inline const void *input_rows(const fml_network *net, const fml_data *data, const uint32_t *order, size_t first,
                                     size_t rows, void *x, size_t *x_row, int *finite) {
    uint32_t picked[FML_MAX_TILE_ROWS];
    if (data->x_rows != NULL) {
        order = picked_rows(data, order, first, rows, picked);
        first = 0;
    }
    size_t I = net->layers[0].n_inputs, begin = order == NULL ? first : 0;
    int plain = needs_no_conversion(data), all_finite;
    if (order != NULL) order += first;
    if (plain && order == NULL && finite == NULL) {
        *x_row = I;
        return reals(net, data->x, begin * I);
    }
    if (plain)
        all_finite = net->kernels->gather(reals(net, data->x, begin * I), order, rows, I, x, *x_row);
    else {
        fml_matrix X = input_matrix(net, data, begin);
        all_finite = net->kernels->gather_converted(&X, order, rows, x, *x_row);
    }
    if (finite != NULL) *finite = all_finite;
    return x;
}

/* The targets of the rows that input_rows takes with these arguments: one-hot encoded from labels or gathered into
 * t, or, if neither order nor conversion is needed, a pointer into the data. */
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
        net->kernels->gather_converted(&T, order, rows, t, n);
    } else if (order == NULL)
        return reals(net, data->values, offset * n);
    else
        net->kernels->gather(data->values, order, rows, n, t, n);
    return t;
}

/* The weights of the rows that input_rows takes with these arguments, gathered into w unless order is NULL; NULL if
 * each row has the weight 1. */
static inline const double *row_weights(const fml_data *data, const uint32_t *order, size_t first, size_t rows,
                                        double *w) {
    if (data->weights == NULL || order == NULL) return data->weights == NULL ? NULL : data->weights + first;
    for (size_t i = 0; i < rows; i++) w[i] = data->weights[order[first + i]];
    return w;
}

/* -- the loss ---------------------------------------------------------------------------------------------------- */

/* Evaluate the network's loss for each row and multiply it by the row's weight. A row of weight 0 contributes 0 even
 * if its loss is not finite. */
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

/* Return the weighted sum of the losses of the rows, and write the gradient, see fml_loss_rows. */
static inline double loss_of(const fml_loss_rows *rows) {
    const fml_network *net = rows->net;
    if (net->own_loss != NULL) return net->own_loss(net->own_loss_context, rows);
    return rows->weights == NULL ? net->loss->value_and_gradient(rows) : weighted_loss(rows);
}

/* -- threads and polling; work is counted in multiply-adds ------------------------------------------------------- */

/* The least work for which another thread is used, about 4 us of one core: with less, the synchronisation costs more
 * than it gains (bench/RESULTS.md, "Threads"). */
enum { MIN_WORK_PER_THREAD = 1 << 18 };

/* The number of threads for a pass over `rows` rows. */
static inline size_t threads_for(const fml_network *net, size_t rows) {
    if (net->n_threads <= 1 || !net->engine->takes_threads) return 1;
    double work = (double)net->multiply_adds * (double)rows;
    if (work < 2.0 * MIN_WORK_PER_THREAD) return 1;
    return size_min((size_t)(work / MIN_WORK_PER_THREAD), size_min(net->n_threads, fml_thread_limit()));
}

/* Run task(context, i) for each 0 <= i < n_threads, and return when all are done. */
static inline void run(size_t n_threads, void (*task)(void *context, size_t i), void *context) {
    if (n_threads == 1)
        task(context, 0);
    else
        fml_parallel(n_threads, task, context);
}

/* The index at which part `part` of `parts` nearly equal parts of n elements begins; a multiple of unit, or n. */
static inline size_t part_begin(size_t n, size_t unit, size_t part, size_t parts) {
    size_t units = ceiling(n, unit);
    return size_min(n, units * part / parts * unit);
}

enum {
    WORK_PER_CLOCK_READING = 1 << 20, /* the clock is read less often, as that takes as long as a small step */
    WORK_PER_ROUND = 1 << 30          /* about 20 ms: threads synchronise after a round, so that the caller can poll */
};

/* Add `work` to the work since the last poll, and poll if the interval is over; returns whether to stop. `stop` runs
 * in the floating-point mode callers_mode. */
static inline int should_stop(fml_poll *poll, size_t work, float_mode callers_mode) {
    if (poll == NULL || poll->stop == NULL) return 0;
    poll->work += work;
    if (poll->interval > 0 && poll->work < WORK_PER_CLOCK_READING) return 0;
    poll->work = 0;
    double now = fml_seconds();
    if (now - poll->last < poll->interval) return 0;
    float_mode mode = flush_denormals();
    restore_mode(callers_mode);
    int stop = poll->stop(poll->context);
    restore_mode(mode);
    poll->last = fml_seconds();
    return stop;
}

#endif
