/* The algorithm: forward, loss, backpropagation and optimiser step over the layers of a network.
 *
 * Written once, over the tables of an engine and of an ISA; it knows shapes and pointers and does no arithmetic
 * itself. Rows go through all layers in tiles of the engine's tile_rows, so that activations stay in the cache and
 * a batch of any size needs the same workspace. The public functions set flush-to-zero on entry and restore it on
 * exit: results below the smallest normal number are 0 and never slow. */
#include "fastmlp.h"
#include "float_mode.h"

static size_t padded(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }
static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static void *reals(const fml_network *net, const void *base, size_t n) {
    return (char *)(uintptr_t)base + n * net->kernels->real_size;
}
static const fml_layer *last_layer(const fml_network *net) { return &net->layers[net->n_layers - 1]; }

/* -- layout ------------------------------------------------------------------------------------------------------ */

void fml_network_lay_out(fml_network *net) {
    size_t line = FML_ALIGNMENT / net->kernels->real_size, offset = 0;
    net->n_parameters = 0;
    for (size_t l = 0; l < net->n_layers; l++) {
        fml_layer *layer = &net->layers[l];
        layer->weights = offset;
        offset += padded(net->engine->packed_weights(layer->n_inputs, layer->n_outputs), line);
        layer->biases = offset;
        offset += padded(layer->n_outputs, line);
        net->n_parameters += (layer->n_inputs + 1) * layer->n_outputs;
    }
    net->n_packed = offset;
}

void fml_network_pack(const fml_network *net, const void *P, void *block) {
    for (size_t l = 0; l < net->n_layers; l++) {
        const fml_layer *layer = &net->layers[l];
        const void *b = reals(net, P, layer->n_inputs * layer->n_outputs);
        net->engine->pack(net, l, P, b, block);
        P = reals(net, b, layer->n_outputs);
    }
}

void fml_network_unpack(const fml_network *net, const void *block, void *P) {
    for (size_t l = 0; l < net->n_layers; l++) {
        const fml_layer *layer = &net->layers[l];
        void *b = reals(net, P, layer->n_inputs * layer->n_outputs);
        net->engine->unpack(net, l, block, P, b);
        P = reals(net, b, layer->n_outputs);
    }
}

/* -- workspace --------------------------------------------------------------------------------------------------- */

/* Cuts a workspace into aligned pieces; with base NULL it only counts. */
typedef struct {
    char *base;
    size_t used;
} arena;

static void *cut(arena *a, size_t bytes) {
    void *piece = a->base == NULL ? NULL : a->base + a->used;
    a->used += padded(bytes, FML_ALIGNMENT);
    return piece;
}

static size_t widest(const fml_network *net) {
    size_t width = net->layers[0].n_inputs;
    for (size_t l = 0; l < net->n_layers; l++)
        if (net->layers[l].n_outputs > width) width = net->layers[l].n_outputs;
    return width;
}

/* The buffers of one tile of a pass. z[l] and y[l] say where layer l writes, NULL where it need not. */
typedef struct {
    void **z, **y;
    void *x, *t, *last_z, *d[2], *work;
} buffers;

static void cut_common(const fml_network *net, size_t rows, arena *a, buffers *b) {
    size_t size = rows * net->kernels->real_size;
    b->z = cut(a, net->n_layers * sizeof(void *));
    b->y = cut(a, net->n_layers * sizeof(void *));
    b->x = cut(a, size * net->layers[0].n_inputs);
    b->t = cut(a, size * last_layer(net)->n_outputs);
    b->last_z = cut(a, size * last_layer(net)->n_outputs);
    for (int i = 0; i < 2; i++) b->d[i] = cut(a, size * widest(net));
}

/* For predictions: layers write into d[0] and d[1] in turn. */
static buffers cut_forward(const fml_network *net, size_t rows, arena *a) {
    buffers b;
    cut_common(net, least(rows, net->engine->tile_rows), a, &b);
    for (size_t l = 0; a->base != NULL && l < net->n_layers; l++) {
        b.z[l] = NULL;
        b.y[l] = b.d[l % 2];
    }
    return b;
}

static int stores_z(const fml_network *net, size_t l) {
    return net->layers[l].activation->reads_z || (l + 1 == net->n_layers && net->loss->from_z);
}
static int stores_y(const fml_network *net, size_t l) { return l + 1 < net->n_layers || !net->loss->from_z; }

/* For gradients: every layer keeps what its derivative or the loss reads; d[0] and d[1] are deltas in turn. */
static buffers cut_gradient(const fml_network *net, size_t rows, arena *a) {
    buffers b;
    rows = least(rows, net->engine->gradient_rows);
    cut_common(net, rows, a, &b);
    for (size_t l = 0; l < net->n_layers; l++) {
        size_t size = rows * net->kernels->real_size * net->layers[l].n_outputs;
        void *z = stores_z(net, l) ? cut(a, size) : NULL, *y = stores_y(net, l) ? cut(a, size) : NULL;
        if (a->base == NULL) continue;
        b.z[l] = z;
        b.y[l] = y;
    }
    b.work = cut(a, net->engine->backward_workspace(net, rows));
    return b;
}

size_t fml_forward_workspace(const fml_network *net, size_t rows) {
    arena a = {NULL, 0};
    cut_forward(net, rows, &a);
    return a.used;
}

size_t fml_gradient_workspace(const fml_network *net, size_t rows) {
    arena a = {NULL, 0};
    cut_gradient(net, rows, &a);
    return a.used;
}

/* -- rows of data ------------------------------------------------------------------------------------------------ */

/* The inputs of rows first ... of the order (of the data, where that is NULL). With `finite` they are gathered into x
 * and *finite says whether all are; without, rows that can be read where they stand are not looked at. */
static const void *input_rows(const fml_network *net, const fml_data *data, const uint32_t *order, size_t first,
                              size_t rows, void *x, int *finite) {
    size_t I = net->layers[0].n_inputs, offset = order == NULL ? first * I : 0;
    if (order != NULL) order += first;
    if (data->bytes)
        net->kernels->gather_bytes((const uint8_t *)data->x + offset, order, rows, I, x);
    else if (order == NULL && finite == NULL)
        return reals(net, data->x, offset);
    else {
        int all = net->kernels->gather(reals(net, data->x, offset), order, rows, I, x);
        if (finite != NULL) *finite = all;
    }
    return x;
}

/* Their targets: where they stand, gathered, or one-hot from the labels. */
static const void *target_rows(const fml_network *net, const fml_data *data, const uint32_t *order, size_t first,
                               size_t rows, void *t) {
    size_t O = last_layer(net)->n_outputs, offset = order == NULL ? first : 0;
    if (order != NULL) order += first;
    if (data->labels != NULL)
        net->kernels->one_hot(data->labels + offset, order, rows, O, t);
    else if (order == NULL)
        return reals(net, data->values, offset * O);
    else
        net->kernels->gather(data->values, order, rows, O, t);
    return t;
}

/* Whether the poll is due and says stop; the caller's floating-point mode holds while it runs. */
static int stopped(fml_poll *poll, float_mode callers) {
    if (poll == NULL || poll->stop == NULL) return 0;
    double now = fml_seconds();
    if (now - poll->last < poll->interval) return 0;
    float_mode ours = flush_denormals();
    restore_mode(callers);
    int stop = poll->stop(poll->context);
    restore_mode(ours);
    poll->last = fml_seconds();
    return stop;
}

/* -- forward ----------------------------------------------------------------------------------------------------- */

static void forward_tile(const fml_network *net, const void *block, const void *x, size_t rows, const buffers *b) {
    for (size_t l = 0; l < net->n_layers; l++) {
        net->engine->forward_layer(net, l, block, x, rows, b->z[l], b->y[l]);
        x = b->y[l];
    }
}

void fml_forward(const fml_network *net, const void *block, const fml_data *data, void *const *z, void *const *y,
                 void *output, void *workspace) {
    float_mode mode = flush_denormals();
    arena a = {workspace, 0};
    buffers b = cut_forward(net, data->n_rows, &a);
    for (size_t first = 0; first < data->n_rows; first += net->engine->tile_rows) {
        size_t rows = least(net->engine->tile_rows, data->n_rows - first);
        for (size_t l = 0; l < net->n_layers; l++) {
            size_t offset = first * net->layers[l].n_outputs;
            if (z != NULL && z[l] != NULL) b.z[l] = reals(net, z[l], offset);
            if (y != NULL && y[l] != NULL) b.y[l] = reals(net, y[l], offset);
        }
        if (output != NULL) b.y[net->n_layers - 1] = reals(net, output, first * last_layer(net)->n_outputs);
        forward_tile(net, block, input_rows(net, data, NULL, first, rows, b.x, NULL), rows, &b);
    }
    restore_mode(mode);
}

static size_t count_right(const fml_network *net, const void *y, const void *t, size_t rows) {
    size_t O = last_layer(net)->n_outputs, n_right = 0;
    for (size_t i = 0; i < rows; i++) {
        int64_t got, wanted;
        net->kernels->classify(reals(net, y, i * O), 1, O, &got);
        net->kernels->classify(reals(net, t, i * O), 1, O, &wanted);
        n_right += got == wanted;
    }
    return n_right;
}

fml_status fml_evaluate(const fml_network *net, const void *block, const fml_data *data, double *loss, size_t *n_right,
                        fml_poll *poll, void *workspace) {
    float_mode mode = flush_denormals();
    arena a = {workspace, 0};
    buffers b = cut_forward(net, data->n_rows, &a);
    const fml_layer *last = last_layer(net);
    size_t l = net->n_layers - 1;
    fml_status status = FML_OK;
    if (net->loss->from_z) b.z[l] = b.last_z;
    *loss = 0;
    *n_right = 0;
    for (size_t first = 0; first < data->n_rows && status == FML_OK; first += net->engine->tile_rows) {
        size_t rows = least(net->engine->tile_rows, data->n_rows - first);
        const void *t = target_rows(net, data, NULL, first, rows, b.t);
        forward_tile(net, block, input_rows(net, data, NULL, first, rows, b.x, NULL), rows, &b);
        const void *output = net->loss->from_z ? b.z[l] : b.y[l];
        *loss += net->loss->value_and_gradient(output, t, NULL, rows, last->n_outputs, 0, last->hyper_parameters);
        *n_right += count_right(net, b.y[l], t, rows);
        if (stopped(poll, mode)) status = FML_STOPPED;
    }
    restore_mode(mode);
    return status;
}

/* -- backward ---------------------------------------------------------------------------------------------------- */

/* Adds the loss and gradient of one tile, asking the poll between layers; d is dz of the layer at hand, from the last
 * to the first. A loss that is not finite, or a poll that says stop, ends it before anything of the block changes. */
static fml_status gradient_tile(const fml_pass *pass, const buffers *b, const void *x, const void *t, size_t rows,
                                void *dx, int accumulate, float_mode callers, double *loss) {
    const fml_network *net = pass->net;
    const fml_layer *layer = last_layer(net);
    fml_poll *poll = pass->rate == 0 ? pass->poll : NULL; /* a step that is taken as it goes is not left half-way */
    size_t l = net->n_layers - 1;
    const double *h = layer->hyper_parameters;
    void *d = b->d[l % 2];
    forward_tile(net, pass->block, x, rows, b);
    const void *output = net->loss->from_z ? b->z[l] : b->y[l];
    *loss += net->loss->value_and_gradient(output, t, d, rows, layer->n_outputs, 1.0 / (double)pass->rows, h);
    if (*loss - *loss != 0) return FML_LOSS_NOT_FINITE;
    if (stopped(pass->poll, callers)) return FML_STOPPED;
    if (!net->loss->from_z) layer->activation->backward(b->z[l], b->y[l], d, d, rows * layer->n_outputs, h);
    for (; l > 0; l--) {
        layer = &net->layers[l - 1];
        void *below = b->d[(l - 1) % 2];
        net->engine->backward_layer(pass, l, b->y[l - 1], d, rows, below, accumulate, b->work);
        layer->activation->backward(b->z[l - 1], b->y[l - 1], below, below, rows * layer->n_outputs,
                                    layer->hyper_parameters);
        d = below;
        if (stopped(poll, callers)) return FML_STOPPED;
    }
    net->engine->backward_layer(pass, 0, x, d, rows, dx, accumulate, b->work);
    return FML_OK;
}

fml_status fml_gradient(const fml_pass *pass, double *loss) {
    float_mode mode = flush_denormals();
    const fml_network *net = pass->net;
    arena a = {pass->workspace, 0};
    buffers b = cut_gradient(net, pass->rows, &a);
    fml_status status = FML_OK;
    *loss = 0;
    for (size_t first = 0; first < pass->rows && status == FML_OK; first += net->engine->gradient_rows) {
        size_t n = least(net->engine->gradient_rows, pass->rows - first);
        int finite = 1;
        const void *x = input_rows(net, pass->data, pass->order, first, n, b.x, &finite);
        const void *t = target_rows(net, pass->data, pass->order, first, n, b.t);
        void *dx = pass->dx == NULL ? NULL : reals(net, pass->dx, first * net->layers[0].n_inputs);
        status = finite ? gradient_tile(pass, &b, x, t, n, dx, first > 0, mode, loss) : FML_INPUT_NOT_FINITE;
    }
    restore_mode(mode);
    return status;
}
