/* Forward passes: predictions, classes, and the loss of data (fml_evaluate).
 *
 * A tile of at most the engine's tile_rows rows passes through all layers before the next, so that activations stay in
 * the cache and the workspace does not grow with the number of rows. Each thread computes a range of consecutive tiles.
 * Predictions on several threads have shorter tiles, so that each thread has about the same number of rows. Losses do
 * not: they are added tile by tile, so other tiles would give a sum of other bits. The public functions set
 * flush-to-zero mode on entry and restore the caller's mode on exit. */
#include "pass_common.h"

/* A thread's buffers for one tile; layers write alternately to y[0] and y[1]. */
typedef struct {
    void *x, *t, *z, *y[2];
} buffers;

static buffers alloc_buffers(const fml_network *net, size_t rows, arena *a) {
    buffers b;
    size_t O = last_layer(net)->n_outputs;
    for (int i = 0; i < 2; i++) b.y[i] = arena_alloc_reals(net, a, rows * net->widest);
    b.x = arena_alloc_reals(net, a, rows * net->layers[0].n_inputs);
    b.t = arena_alloc_reals(net, a, rows * net->n_targets);
    b.z = arena_alloc_reals(net, a, rows * O);
    return b;
}

enum {
    MAX_ROUND_TILES = 64,
    MIN_TILE_ROWS = 4 /* fewer rows take about as long, since the weights have to be read in any case */
};

/* A pass, shared by its threads. fml_evaluate goes in rounds of at most MAX_ROUND_TILES tiles. After a round it adds
 * the losses of the tiles in their order, so that the sum does not depend on the number of threads, and polls. */
typedef struct {
    const fml_network *net;
    const void *block;
    const fml_data *data;
    void *const *z, *const *y;
    void *output;
    int64_t *classes;
    size_t n_threads, n_tiles, tile_rows;
    size_t first_tile, last_tile; /* of the round, which ends before last_tile */
    double *losses, *right;       /* results of fml_evaluate for the tiles of the round */
    arena memory;                 /* the rest of the workspace: the buffers of each thread, */
    size_t per_thread;            /* which take this many bytes */
} pass;

/* How rows are cut into tiles: as long as the engine allows, or so that threads have about the same number of rows. */
typedef enum { LONGEST_TILES, EVEN_TILES } tile_lengths;

static pass begin(const fml_network *net, const void *block, const fml_data *data, tile_lengths lengths, arena a) {
    pass p = {.net = net, .block = block, .data = data};
    size_t rows = data->n_rows, most = net->engine->tile_rows;
    size_t n_threads = size_min(threads_for(net, rows), MAX_ROUND_TILES);
    p.tile_rows = size_min(rows, most);
    if (lengths == EVEN_TILES && n_threads > 1)
        p.tile_rows = size_max(ceiling(rows, n_threads * ceiling(rows, n_threads * most)), MIN_TILE_ROWS);
    p.n_tiles = p.last_tile = rows == 0 ? 0 : ceiling(rows, p.tile_rows);
    p.n_threads = size_min(n_threads, p.n_tiles);
    p.losses = arena_alloc(&a, MAX_ROUND_TILES * sizeof *p.losses);
    p.right = arena_alloc(&a, MAX_ROUND_TILES * sizeof *p.right);
    p.memory = a;
    arena one = {NULL, 0};
    alloc_buffers(net, p.tile_rows, &one);
    p.per_thread = one.used;
    return p;
}

size_t fml_forward_workspace(const fml_network *net, size_t rows) {
    fml_data data = {.n_rows = rows};
    pass longest = begin(net, NULL, &data, LONGEST_TILES, (arena){NULL, 0});
    pass even = begin(net, NULL, &data, EVEN_TILES, (arena){NULL, 0});
    return longest.memory.used + size_max(longest.n_threads * longest.per_thread, even.n_threads * even.per_thread);
}

/* Return the buffers of thread i, and set its share of the tiles: *tile ... *end - 1. */
static buffers thread_share(const pass *p, size_t i, size_t *tile, size_t *end) {
    arena own = {p->memory.base + p->memory.used + i * p->per_thread, 0};
    size_t n = p->last_tile - p->first_tile;
    *tile = p->first_tile + part_begin(n, 1, i, p->n_threads);
    *end = p->first_tile + part_begin(n, 1, i + 1, p->n_threads);
    return alloc_buffers(p->net, p->tile_rows, &own);
}

static size_t tile_rows(const pass *p, size_t tile) {
    return size_min(p->tile_rows, p->data->n_rows - tile * p->tile_rows);
}

/* Compute all layers for a tile. The last layer writes to last_z and last_y, of which one may be NULL. */
static void forward_tile(const pass *p, size_t tile, const buffers *b, void *last_z, void *last_y) {
    const fml_network *net = p->net;
    size_t rows = tile_rows(p, tile), first = tile * p->tile_rows, x_row = net->layers[0].n_inputs;
    const void *x = input_rows(net, p->data, NULL, first, rows, b->x, &x_row, NULL);
    int ahead = x != b->x && tile + 1 < p->n_tiles && tile_rows(p, tile + 1) == rows;
    for (size_t l = 0; l < net->n_layers; l++) {
        size_t O = net->layers[l].n_outputs, offset = first * O;
        int last = l + 1 == net->n_layers;
        void *z = last ? last_z : NULL, *y = last ? last_y : b->y[l % 2];
        if (p->z != NULL && p->z[l] != NULL) z = reals(net, p->z[l], offset);
        if (p->y != NULL && p->y[l] != NULL) y = reals(net, p->y[l], offset);
        net->engine->forward_layer(net, l, p->block, x, x_row, rows, z, y, O, ahead && l == 0);
        x = y;
        x_row = O;
    }
}

static void forward_task(void *context, size_t i) {
    const pass *p = context;
    const fml_network *net = p->net;
    size_t tile, end, O = last_layer(net)->n_outputs;
    buffers b = thread_share(p, i, &tile, &end);
    for (; tile < end; tile++) {
        void *y = b.y[(net->n_layers - 1) % 2];
        if (p->output != NULL) y = reals(net, p->output, tile * p->tile_rows * O);
        forward_tile(p, tile, &b, NULL, y);
        const fml_scaling *scaling = p->data->scaling;
        if (p->output != NULL && scaling != NULL && scaling->targets.offset != NULL)
            net->kernels->unscale(y, tile_rows(p, tile), O, &scaling->targets);
    }
}

void fml_forward(const fml_network *net, const void *block, const fml_data *data, void *const *z, void *const *y,
                 void *output, void *workspace) {
    float_mode mode = flush_denormals();
    pass p = begin(net, block, data, EVEN_TILES, (arena){workspace, 0});
    p.z = z;
    p.y = y;
    p.output = output;
    run(p.n_threads, forward_task, &p);
    restore_mode(mode);
}

static void classify_task(void *context, size_t i) {
    const pass *p = context;
    const fml_network *net = p->net;
    size_t tile, end, O = last_layer(net)->n_outputs;
    buffers b = thread_share(p, i, &tile, &end);
    const fml_scaling *scaling = p->data->scaling;
    for (; tile < end; tile++) {
        size_t rows = tile_rows(p, tile);
        int64_t *classes = p->classes + tile * p->tile_rows;
        if (last_layer(net)->activation->is_softmax) {
            forward_tile(p, tile, &b, b.z, NULL);
            net->kernels->classify_softmax(b.z, rows, O, classes);
            continue;
        }
        void *y = b.y[(net->n_layers - 1) % 2];
        forward_tile(p, tile, &b, NULL, y);
        if (scaling != NULL && scaling->targets.offset != NULL) net->kernels->unscale(y, rows, O, &scaling->targets);
        net->kernels->classify(y, rows, O, net->loss->threshold, classes);
    }
}

void fml_classify(const fml_network *net, const void *block, const fml_data *data, int64_t *classes, void *workspace) {
    float_mode mode = flush_denormals();
    pass p = begin(net, block, data, EVEN_TILES, (arena){workspace, 0});
    p.classes = classes;
    run(p.n_threads, classify_task, &p);
    restore_mode(mode);
}

size_t fml_row_workspace(const fml_network *net) { return 2 * padded(net->widest * net->kernels->real_size, 64); }

void fml_forward_row(const fml_network *net, const void *block, const void *x, void *y, void *workspace) {
    float_mode mode = flush_denormals();
    size_t n_layers = net->n_layers, half = fml_row_workspace(net) / 2;
    for (size_t l = 0; l < n_layers; l++) {
        void *to = l + 1 == n_layers ? y : (char *)workspace + l % 2 * half;
        net->engine->forward_layer(net, l, block, x, 0, 1, NULL, to, 0, 0);
        x = to;
    }
    restore_mode(mode);
}

/* -- the loss ---------------------------------------------------------------------------------------------------- */

/* The sum of the weights (1 each if w is NULL) of the rows whose predicted class is that of the target; 0 if a target
 * does not have as many numbers as the output. */
static double sum_right(const fml_network *net, const void *y, const void *t, const double *w, size_t rows) {
    size_t O = last_layer(net)->n_outputs;
    double right = 0;
    for (size_t i = 0; i < rows && net->n_targets == O; i++) {
        int64_t predicted, actual;
        net->kernels->classify(reals(net, y, i * O), 1, O, net->loss->threshold, &predicted);
        net->kernels->classify(reals(net, t, i * O), 1, O, 0.5, &actual);
        if (predicted == actual) right += w == NULL ? 1 : w[i];
    }
    return right;
}

static void evaluate_task(void *context, size_t i) {
    const pass *p = context;
    const fml_network *net = p->net;
    size_t tile, end;
    buffers b = thread_share(p, i, &tile, &end);
    void *y = b.y[(net->n_layers - 1) % 2], *z = net->loss->from_z ? b.z : NULL;
    for (; tile < end; tile++) {
        size_t rows = tile_rows(p, tile), first = tile * p->tile_rows;
        const void *t = target_rows(net, p->data, NULL, first, rows, b.t);
        const double *w = row_weights(p->data, NULL, first, rows, NULL);
        fml_loss_rows all = {.net = net, .output = z != NULL ? z : y, .t = t, .weights = w, .rows = rows};
        forward_tile(p, tile, &b, z, y);
        p->losses[tile % MAX_ROUND_TILES] = loss_of(&all);
        p->right[tile % MAX_ROUND_TILES] = sum_right(net, y, t, w, rows);
    }
}

fml_status fml_evaluate(const fml_network *net, const void *block, const fml_data *data, double *loss, double *right,
                        fml_poll *poll, void *workspace) {
    float_mode mode = flush_denormals();
    pass p = begin(net, block, data, LONGEST_TILES, (arena){workspace, 0});
    fml_status status = FML_OK;
    size_t round = size_min(MAX_ROUND_TILES, 1 + WORK_PER_ROUND / (net->multiply_adds * net->engine->tile_rows));
    *loss = 0;
    *right = 0;
    for (p.first_tile = 0; p.first_tile < p.n_tiles && status == FML_OK; p.first_tile = p.last_tile) {
        p.last_tile = size_min(p.first_tile + size_max(round, p.n_threads), p.n_tiles);
        run(p.n_threads, evaluate_task, &p);
        for (size_t tile = p.first_tile; tile < p.last_tile; tile++) {
            *loss += p.losses[tile % MAX_ROUND_TILES];
            *right += p.right[tile % MAX_ROUND_TILES];
        }
        if (should_stop(poll, net->multiply_adds * net->engine->tile_rows * round, mode)) status = FML_STOPPED;
    }
    restore_mode(mode);
    return status;
}
