/* The backward pass over consecutive rows of a batch by one team of threads; gradient.c divides a batch among teams.
 *
 * The rows are processed in pieces of about the engine's gradient_rows rows, and each piece in two phases. The rows
 * phase takes a tile of rows at a time forward through all layers, computes its losses, and takes it backward through
 * all layers; it stores the inputs and the deltas of every layer (a delta is dz, the gradient with respect to z). The
 * weights phase then computes each part of the weight gradients by a sum over all rows of the piece. If the pass has an
 * update, the batch's last piece applies it to each part as soon as it is complete, while it is in the cache.
 *
 * Threads divide the rows in the first phase and the inputs of each layer in the second, and synchronise after each
 * phase. A long phase is divided into rounds, after which the caller polls whether to stop; a single thread polls
 * between tiles. An update that has begun is always completed.
 *
 * Where a piece has few rows for the number of threads and the network many weights, each thread would read all weights
 * for its few rows. Then the threads form a grid, and the rows phase goes layer by layer (wide_phases): in the first
 * layers, which are wide, each thread computes some of the outputs for some of the rows, so that it reads only its
 * share of the weights; the layers after them and the loss are computed row by row; on the way back each thread
 * computes some of the inputs' gradients. That is a phase for each wide layer and direction, after each of which the
 * threads synchronise. In the weights phase, a thread has the weights of a wide layer that it reads in the rows phase.
 *
 * Results have the same bits for any number of threads: one thread computes each element of the gradient, summing rows
 * in their order, and losses are computed for LOSS_ROWS rows at a time (a custom loss: for a tile) and added in their
 * order. */
#include "backward.h"

#include "pass_common.h"
#include "regularization.h"

/* Pieces begin at multiples of so many rows, so that several numbers of threads can divide a piece evenly. */
enum { PIECE_UNIT = 4 * LOSS_ROWS };

/* The cost model that chooses how threads divide the rows phase, in multiply-adds of one thread, of which an AVX-512
 * core does about 120,000 in 1 us: reading a real that another core has written, and synchronising all threads. Both
 * are assumptions for processors with many cores; two cores that share a cache synchronise in 0.2 us. */
enum { READ = 12, BARRIER = 1 << 16 };
/* A share of outputs is a multiple of so many cache lines: the width of the widest tile. */
enum { SHARE_LINES = 2 };

/* A thread's buffers: the deltas of a tile, alternately for one layer and the next, and weight_gradient's scratch. */
typedef struct {
    void *d[2], *scratch;
} buffers;

/* How threads divide the rows phase. The outputs of the first n_wide layers are divided among groups of threads, and so
 * are the rows: thread i takes output group i % n_output_groups of row group i / n_output_groups. If n_wide is 0, the
 * threads divide the rows only. */
typedef struct {
    size_t n_wide, n_row_groups, n_output_groups;
} grid;

/* A pass and its current piece, shared by its threads. The buffers have all rows of the piece; layer l has those with
 * the index l. */
typedef struct {
    const fml_pass *pass;
    size_t n_threads;
    size_t first, rows;    /* the piece: rows first ... first + rows - 1 of the batch */
    size_t begin, end;     /* the rows of all pieces, */
    size_t k, n_pieces;    /* of which this is piece k */
    size_t x_row;          /* row stride of x */
    int *finite;           /* for each thread, whether all inputs that it has gathered are finite */
    size_t loss_rows;      /* rows for which the loss is called together */
    double scale;          /* factor of each row's gradient: 1 / the weight of the batch */
    double *losses;        /* the loss of each loss_rows rows */
    double *weights;       /* the weight of each row */
    void *x;               /* inputs */
    void **z, **y;         /* NULL where nobody reads them */
    void **outputs;        /* the inputs of the next layer: y, or y after dropout */
    void **deltas;         /* in the layout of the engine's keep_delta */
    void *const *prepared; /* weights in the layout of the engine's prepare, see backward.h */
    void *t;               /* targets */
    grid grid;             /* how the threads divide the rows phase */
    void *d[2];            /* if there are any, the deltas of all rows, alternately for one wide layer and the next */
    size_t layer;          /* the layer of a phase */
    float_mode callers_mode;
    int stopped;                   /* whether the caller's poll has said stop */
    size_t tile_work;              /* multiply-adds of its forward pass: after about so many, a single thread polls */
    int is_long;                   /* whether a tile takes so long that a single thread polls after each layer */
    size_t done, round_rows;       /* rows of each thread: those that are done, and those of a round */
    size_t first_layer, end_layer; /* the layers of a round of the weights phase: first_layer ... end_layer - 1 */
    arena memory;                  /* the rest of the workspace: the buffers of each thread, */
    size_t per_thread;             /* which take this many bytes */
} piece;

/* -- the workspace ----------------------------------------------------------------------------------------------- */

/* The row stride, in reals, of stored rows of n reals. weight_gradient reads them by column; with a power of two as the
 * stride, all elements of a column would be in the same few sets of the cache. */
static size_t row_stride(const fml_network *net, size_t n) {
    size_t line = FML_ALIGNMENT / net->kernels->real_size;
    return net->engine->odd_rows && n % (8 * line) == 0 ? n + line : n;
}

/* The row stride of the stored outputs of layer l. Those of the last layer are contiguous, as losses expect. */
static size_t layer_stride(const fml_network *net, size_t l) {
    size_t O = net->layers[l].n_outputs;
    return l + 1 == net->n_layers ? O : row_stride(net, O);
}

static size_t widest_stride(const fml_network *net) {
    size_t width = 0;
    for (size_t l = 0; l < net->n_layers; l++) width = size_max(width, layer_stride(net, l));
    return width;
}

static buffers alloc_buffers(const fml_network *net, size_t rows, arena *a) {
    buffers b;
    size_t scratch = 0;
    rows = size_min(rows, net->engine->tile_rows);
    for (int i = 0; i < 2; i++) b.d[i] = arena_alloc_reals(net, a, rows * widest_stride(net));
    for (size_t l = 0; net->engine->gradient_scratch != NULL && l < net->n_layers; l++)
        scratch = size_max(scratch, net->engine->gradient_scratch(net->layers[l].n_inputs, net->layers[l].n_outputs));
    b.scratch = arena_alloc_reals(net, a, scratch);
    return b;
}

static int stores_z(const fml_network *net, size_t l) {
    return net->layers[l].activation->reads_z || (l + 1 == net->n_layers && net->loss->from_z);
}
static int stores_y(const fml_network *net, size_t l) { return l + 1 < net->n_layers || !net->loss->from_z; }

/* Allocate the buffers of layer l for `rows` rows. */
static void alloc_layer(const fml_network *net, size_t l, size_t rows, piece *p, arena *a) {
    const fml_engine *engine = net->engine;
    size_t O = net->layers[l].n_outputs, size = rows * layer_stride(net, l);
    void *z = stores_z(net, l) ? arena_alloc_reals(net, a, size) : NULL,
         *y = stores_y(net, l) ? arena_alloc_reals(net, a, size) : NULL;
    void *output = dropout_of(p->pass->regularization, net, l) > 0 ? arena_alloc_reals(net, a, size) : y;
    void *delta = arena_alloc_reals(net, a, engine->keep_delta != NULL ? engine->delta_size(rows, O) : size);
    if (a->base == NULL) return;
    p->z[l] = z;
    p->y[l] = y;
    p->outputs[l] = output;
    p->deltas[l] = delta;
}

size_t max_piece_rows(const fml_network *net) { return net->engine->gradient_rows / 2 * 3; }

/* The number of pieces of that many rows; each has about the engine's gradient_rows rows. */
static size_t n_pieces_of(const fml_network *net, size_t rows) {
    size_t about = net->engine->gradient_rows;
    return size_max(1, (rows + about / 2) / about);
}

/* The first row of piece k, or for k = n_pieces the row after the last piece. */
static size_t piece_first(const piece *p, size_t k) {
    if (k == 0 || k == p->n_pieces) return k == 0 ? p->begin : p->end; /* without the divisions of part_begin */
    return p->begin + part_begin(p->end - p->begin, PIECE_UNIT, k, p->n_pieces);
}

/* The number of reals that a share of outputs is a multiple of. */
static size_t share_unit(const fml_network *net) { return SHARE_LINES * FML_ALIGNMENT / net->kernels->real_size; }

/* The time of the rows phase by a grid of threads, in multiply-adds of one thread. */
static double estimated_time(const fml_network *net, size_t rows, grid g) {
    double rows_of_one = (double)(ceiling(ceiling(rows, LOSS_ROWS), g.n_row_groups) * LOSS_ROWS);
    double rows_after = (double)(ceiling(ceiling(rows, LOSS_ROWS), g.n_row_groups * g.n_output_groups) * LOSS_ROWS);
    double time = 2 * (double)(g.n_wide + 1) * BARRIER, unit = (double)share_unit(net);
    for (size_t l = 0; l < net->n_layers; l++) {
        double I = (double)net->layers[l].n_inputs, passes = l == 0 ? 1 : 2, O = (double)net->layers[l].n_outputs;
        int is_wide = l < g.n_wide;
        double share = is_wide ? (double)ceiling(ceiling((size_t)O, (size_t)unit), g.n_output_groups) * unit : O;
        double rows_of_layer = is_wide ? rows_of_one : rows_after;
        time += passes * I * share * rows_of_layer;
        /* It has updated some of the weights itself; those for the way back are prepared by other threads. */
        double others = is_wide ? (double)(g.n_row_groups - 1) / (double)g.n_row_groups : 1;
        time += (others + passes - 1) * I * share * READ;
        if (is_wide) time += passes * rows_of_layer * I * READ;
    }
    return time;
}

/* The grid in which a team of n_threads threads is quickest with a piece of that many rows. Only rows are divided where
 * a phase is so long that the caller has to poll within it, or masks of dropout are drawn. */
static grid grid_of(const fml_pass *pass, size_t rows, size_t n_threads) {
    const fml_network *net = pass->net;
    grid best = {0, n_threads, 1};
    if (n_threads == 1 || net->engine->forward_outputs == NULL) return best;
    for (size_t l = 0; l < net->n_layers; l++)
        if (dropout_of(pass->regularization, net, l) > 0) return best;
    if (net->multiply_adds * max_piece_rows(net) > WORK_PER_ROUND) return best;
    double min_time = estimated_time(net, rows, best);
    for (size_t n = 1; n <= ceiling(rows, LOSS_ROWS) && 2 * n <= n_threads; n++) {
        grid g = {0, n, n_threads / n};
        while (g.n_wide + 1 < net->n_layers && !net->layers[g.n_wide].activation->whole_tiles &&
               net->layers[g.n_wide].n_outputs >= g.n_output_groups * share_unit(net))
            g.n_wide++;
        double time = estimated_time(net, rows, g);
        if (g.n_wide == 0 || time >= min_time) continue;
        min_time = time;
        best = g;
    }
    return best;
}

/* The first piece of at most max_rows rows for a team of n_threads threads. any_grid: allocate what any grid of so many
 * threads or fewer may need, for any smaller number of rows, too. */
static piece new_piece(const fml_pass *pass, size_t max_rows, size_t n_threads, int any_grid, arena a) {
    const fml_network *net = pass->net;
    size_t rows = size_min(max_rows, max_piece_rows(net)), I = net->layers[0].n_inputs;
    piece p = {.pass = pass, .n_threads = n_threads};
    void ***const lists[] = {&p.z, &p.y, &p.outputs, &p.deltas};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        *lists[i] = arena_alloc(&a, net->n_layers * sizeof(void *));
    p.finite = arena_alloc(&a, p.n_threads * sizeof *p.finite);
    /* A custom loss runs on one thread (see core.h), so that no two threads write to an entry of losses. */
    p.loss_rows = net->own_loss == NULL ? LOSS_ROWS : net->engine->tile_rows;
    p.losses = arena_alloc(&a, (rows / LOSS_ROWS + 1) * sizeof *p.losses);
    p.weights = arena_alloc(&a, rows * sizeof *p.weights);
    p.x_row = row_stride(net, I);
    p.x = arena_alloc_reals(net, &a, rows * p.x_row);
    p.t = arena_alloc_reals(net, &a, rows * net->n_targets);
    p.grid = grid_of(pass, rows, n_threads);
    for (int i = 0; i < 2 && (p.grid.n_wide > 0 || any_grid); i++)
        p.d[i] = arena_alloc_reals(net, &a, rows * widest_stride(net));
    for (size_t l = 0; l < net->n_layers; l++) alloc_layer(net, l, rows, &p, &a);
    p.memory = a;
    arena one = {NULL, 0};
    alloc_buffers(net, rows, &one);
    p.per_thread = one.used;
    return p;
}

static buffers thread_buffers(const piece *p, size_t i) {
    arena own = {p->memory.base + p->memory.used + i * p->per_thread, 0};
    return alloc_buffers(p->pass->net, p->rows, &own);
}

size_t team_threads(const fml_network *net, size_t rows) {
    size_t n_threads = max_team_threads(net, rows);
    if (n_threads == 1) return 1;
    fml_pass pass = {.net = net};
    rows = size_min(rows, max_piece_rows(net));
    return grid_of(&pass, rows, n_threads).n_wide > 0 ? n_threads : size_min(n_threads, rows / LOSS_ROWS + 1);
}

size_t max_team_threads(const fml_network *net, size_t rows) {
    /* A step on one row has one thread, whatever the limit of threads is when its workspace is allocated. */
    return rows == 1 ? 1 : threads_for(net, size_min(rows, max_piece_rows(net)));
}

size_t n_wide_layers(const fml_network *net, size_t rows) {
    fml_pass pass = {.net = net};
    rows = size_min(rows, max_piece_rows(net));
    return grid_of(&pass, rows, team_threads(net, rows)).n_wide;
}

size_t max_backward_workspace(const fml_pass *pass, size_t rows) {
    size_t n_threads = max_team_threads(pass->net, rows);
    piece p = new_piece(pass, rows, n_threads, 1, (arena){NULL, 0});
    return p.memory.used + n_threads * p.per_thread;
}

size_t thread_workspace(const fml_pass *pass) {
    piece p = new_piece(pass, max_piece_rows(pass->net), 1, 0, (arena){NULL, 0});
    return p.memory.used + p.per_thread;
}

/* -- the phases -------------------------------------------------------------------------------------------------- */

/* The first of the inputs of layer l whose weights are thread i's share. */
static size_t inputs_begin(const piece *p, size_t l, size_t i) {
    size_t line = FML_ALIGNMENT / p->pass->net->kernels->real_size;
    return part_begin(p->pass->net->layers[l].n_inputs, line, i, p->n_threads);
}

/* Poll, if there is one thread, and return whether to stop. With several threads nobody polls here: the poll may run
 * signal handlers, which may fork, so it must run on the caller's thread while no other thread works for it. */
static int interrupted(piece *p) {
    if (p->n_threads == 1 && !p->stopped) p->stopped = should_stop(p->pass->poll, p->tile_work, p->callers_mode);
    return p->stopped;
}

/* Whether dropout is applied to the outputs of layer l. */
static int drops(const piece *p, size_t l) { return p->outputs[l] != p->y[l]; }

/* Take a tile forward through the layers from `l` on: the rows at ... at + rows - 1 of the piece, with the inputs x. */
static void tile_forward(piece *p, size_t l, const void *x, size_t x_row, size_t at, size_t rows) {
    const fml_network *net = p->pass->net;
    for (; l < net->n_layers; l++) {
        size_t stride = layer_stride(net, l);
        void *z = p->z[l] == NULL ? NULL : reals(net, p->z[l], at * stride);
        void *y = p->y[l] == NULL ? NULL : reals(net, p->y[l], at * stride);
        net->engine->forward_layer(net, l, p->pass->block, x, x_row, rows, z, y, stride, 0);
        if (p->is_long && interrupted(p)) return;
        x = y;
        if (drops(p, l)) {
            void *output = reals(net, p->outputs[l], at * stride);
            fml_drop(p->pass, l, p->first + at, rows, y, output, stride);
            x = output;
        }
        x_row = stride;
    }
}

/* Compute the losses of a tile, and d = dz of the last layer; w: the weights of the rows, or NULL. */
static void tile_loss(const piece *p, const void *t, const double *w, size_t at, size_t rows, void *d) {
    const fml_network *net = p->pass->net;
    const fml_layer *last = last_layer(net);
    size_t O = last->n_outputs, l = net->n_layers - 1;
    const void *output = reals(net, net->loss->from_z ? p->z[l] : p->y[l], at * O);
    for (size_t r = 0; r < rows; r += p->loss_rows) {
        fml_loss_rows some = {.net = net,
                              .output = reals(net, output, r * O),
                              .t = reals(net, t, r * net->n_targets),
                              .weights = w == NULL ? NULL : w + r,
                              .d = reals(net, d, r * O),
                              .rows = size_min(rows - r, p->loss_rows),
                              .scale = p->scale};
        p->losses[(at + r) / p->loss_rows] = loss_of(&some);
    }
    if (net->loss->from_z) return;
    const void *z = p->z[l] == NULL ? NULL : reals(net, p->z[l], at * O);
    last->activation->backward(z, reals(net, p->y[l], at * O), d, d, rows, O, last->hyper_parameters);
}

/* Take a tile backward through all layers, from d = dz of the last layer: store the deltas, and write pass->dx. If
 * there are wide layers, end with the delta of the last of these. */
static void tile_backward(piece *p, const buffers *b, size_t at, size_t rows, void *d) {
    const fml_pass *pass = p->pass;
    const fml_network *net = pass->net;
    const fml_engine *engine = net->engine;
    for (size_t l = net->n_layers; l-- > 0;) {
        const fml_layer *layer = &net->layers[l];
        size_t stride = layer_stride(net, l), I = layer->n_inputs;
        if (engine->keep_delta != NULL)
            engine->keep_delta(d, stride, at, rows, p->rows, layer->n_outputs, p->deltas[l]);
        if ((l == 0 && pass->dx == NULL) || l + 1 == p->grid.n_wide) return;
        size_t below = l == 0 ? I : layer_stride(net, l - 1);
        void *dx = l == 0                       ? reals(net, pass->dx, (p->first + at) * I)
                   : l == p->grid.n_wide        ? reals(net, p->d[(l - 1) % 2], at * below)
                   : engine->keep_delta == NULL ? reals(net, p->deltas[l - 1], at * below)
                                                : b->d[(l - 1) % 2];
        engine->input_gradient(net, l, pass->block, p->prepared[l], d, stride, rows, dx, below);
        if (l == 0 || (p->is_long && interrupted(p))) return;
        if (drops(p, l - 1)) fml_drop(pass, l - 1, p->first + at, rows, dx, dx, below);
        const void *z = p->z[l - 1] == NULL ? NULL : reals(net, p->z[l - 1], at * below);
        net->layers[l - 1].activation->backward(z, reals(net, p->y[l - 1], at * below), dx, dx, rows, below,
                                                net->layers[l - 1].hyper_parameters);
        d = dx;
    }
}

/* The rows phase of one round for thread i: gather its rows tile by tile, and take each tile forward and backward. */
static void rows_task(void *context, size_t i) {
    piece *p = context;
    const fml_pass *pass = p->pass;
    const fml_network *net = pass->net;
    size_t begin = part_begin(p->rows, LOSS_ROWS, i, p->n_threads) + p->done, last = net->n_layers - 1, rows;
    size_t end = size_min(part_begin(p->rows, LOSS_ROWS, i + 1, p->n_threads), begin + p->round_rows);
    size_t O = last_layer(net)->n_outputs, n_targets = net->n_targets;
    buffers b = thread_buffers(p, i);
    if (p->done == 0) p->finite[i] = 1;
    for (size_t at = begin; at < end; at += rows) {
        rows = size_min(net->engine->tile_rows, end - at);
        size_t x_row = p->x_row;
        const void *x = input_rows(net, pass->data, pass->order, p->first + at, rows, reals(net, p->x, at * x_row),
                                   &x_row, &p->finite[i]);
        const void *t =
            target_rows(net, pass->data, pass->order, p->first + at, rows, reals(net, p->t, at * n_targets));
        const double *w = row_weights(pass->data, pass->order, p->first + at, rows, p->weights + at);
        if (!p->finite[i] || interrupted(p)) return;
        if (draws_for_inputs(pass->regularization))
            fml_perturb_inputs(pass, p->first + at, rows, reals(net, p->x, at * x_row), x_row);
        void *d = net->engine->keep_delta == NULL ? reals(net, p->deltas[last], at * O) : b.d[last % 2];
        tile_forward(p, 0, x, x_row, at, rows);
        if (p->stopped) return;
        tile_loss(p, t, w, at, rows, d);
        tile_backward(p, &b, at, rows, d);
        if (p->stopped) return;
    }
}

/* -- the rows phase where the outputs of the first layers are divided -- */

/* A range of rows of the piece, and of the outputs or inputs of a layer. */
typedef struct {
    size_t first_row, n_rows, begin, end;
} block;

/* Thread i's block of n outputs or inputs in a wide layer; end is 0 if it has none. */
static block block_of(const piece *p, size_t n, size_t i) {
    size_t row_group = i / p->grid.n_output_groups, group = i % p->grid.n_output_groups;
    if (row_group >= p->grid.n_row_groups) return (block){0, 0, 0, 0};
    size_t first = part_begin(p->rows, LOSS_ROWS, row_group, p->grid.n_row_groups);
    size_t after = part_begin(p->rows, LOSS_ROWS, row_group + 1, p->grid.n_row_groups);
    size_t unit = share_unit(p->pass->net), n_groups = p->grid.n_output_groups;
    size_t begin = part_begin(n, unit, group, n_groups), end = part_begin(n, unit, group + 1, n_groups);
    return (block){first, after - first, begin, first < after && begin < end ? end : 0};
}

/* The first of thread i's rows. */
static size_t rows_begin(const piece *p, size_t i) { return part_begin(p->rows, LOSS_ROWS, i, p->n_threads); }

static void gather_task(void *context, size_t i) {
    piece *p = context;
    const fml_pass *pass = p->pass;
    const fml_network *net = pass->net;
    size_t end = rows_begin(p, i + 1), rows;
    p->finite[i] = 1;
    for (size_t at = rows_begin(p, i); at < end && p->finite[i]; at += rows) {
        size_t x_row = p->x_row;
        void *x = reals(net, p->x, at * x_row);
        rows = size_min(net->engine->tile_rows, end - at);
        input_rows(net, pass->data, pass->order, p->first + at, rows, x, &x_row, &p->finite[i]);
        if (draws_for_inputs(pass->regularization)) fml_perturb_inputs(pass, p->first + at, rows, x, x_row);
    }
}

static void forward_task(void *context, size_t i) {
    const piece *p = context;
    const fml_network *net = p->pass->net;
    size_t l = p->layer, x_row = l == 0 ? p->x_row : layer_stride(net, l - 1), y_row = layer_stride(net, l);
    block own = block_of(p, net->layers[l].n_outputs, i);
    if (own.end == 0) return;
    const void *x = reals(net, l == 0 ? p->x : p->y[l - 1], own.first_row * x_row);
    void *z = p->z[l] == NULL ? NULL : reals(net, p->z[l], own.first_row * y_row);
    void *y = p->y[l] == NULL ? NULL : reals(net, p->y[l], own.first_row * y_row);
    net->engine->forward_outputs(net, l, p->pass->block, x, x_row, own.n_rows, z, y, y_row, own.begin, own.end);
}

/* The layers after the wide ones and the loss, forward and backward, for thread i's rows. */
static void tail_task(void *context, size_t i) {
    piece *p = context;
    const fml_pass *pass = p->pass;
    const fml_network *net = pass->net;
    size_t end = rows_begin(p, i + 1), last = net->n_layers - 1, x_row = layer_stride(net, p->grid.n_wide - 1), rows;
    buffers b = thread_buffers(p, i);
    for (size_t at = rows_begin(p, i); at < end; at += rows) {
        rows = size_min(net->engine->tile_rows, end - at);
        const void *t =
            target_rows(net, pass->data, pass->order, p->first + at, rows, reals(net, p->t, at * net->n_targets));
        const double *w = row_weights(pass->data, pass->order, p->first + at, rows, p->weights + at);
        tile_forward(p, p->grid.n_wide, reals(net, p->y[p->grid.n_wide - 1], at * x_row), x_row, at, rows);
        tile_loss(p, t, w, at, rows, b.d[last % 2]);
        tile_backward(p, &b, at, rows, b.d[last % 2]);
    }
}

/* dz of the layer below the wide layer p->layer, or pass->dx: thread i's block. */
static void backward_task(void *context, size_t i) {
    const piece *p = context;
    const fml_network *net = p->pass->net;
    size_t l = p->layer, row = l > 0 ? layer_stride(net, l - 1) : net->layers[0].n_inputs,
           dz_row = layer_stride(net, l);
    block own = block_of(p, net->layers[l].n_inputs, i);
    if (own.end == 0) return;
    void *dx = l > 0 ? p->d[(l - 1) % 2] : reals(net, p->pass->dx, p->first * row);
    dx = reals(net, dx, own.first_row * row);
    net->engine->gradient_of_inputs(net, l, p->pass->block, p->prepared[l],
                                    reals(net, p->d[l % 2], own.first_row * dz_row), dz_row, own.n_rows, dx, row,
                                    own.begin, own.end);
    if (l == 0) return;
    const fml_layer *below = &net->layers[l - 1];
    size_t width = own.end - own.begin;
    for (size_t r = 0; r < own.n_rows; r++) {
        size_t at = (own.first_row + r) * row + own.begin;
        const void *z = p->z[l - 1] == NULL ? NULL : reals(net, p->z[l - 1], at);
        void *d = reals(net, dx, r * row + own.begin);
        below->activation->backward(z, reals(net, p->y[l - 1], at), d, d, 1, width, below->hyper_parameters);
    }
    net->engine->keep_delta(reals(net, dx, own.begin), row, own.first_row, own.n_rows, p->rows, width,
                            reals(net, p->deltas[l - 1], own.begin * p->rows)); /* panels of all rows, see core.h */
}

static void wide_phases(piece *p) {
    run(p->n_threads, gather_task, p);
    for (size_t i = 0; i < p->n_threads; i++)
        if (!p->finite[i]) return;
    for (p->layer = 0; p->layer < p->grid.n_wide; p->layer++) run(p->n_threads, forward_task, p);
    run(p->n_threads, tail_task, p);
    size_t last = p->pass->dx == NULL ? 1 : 0;
    for (p->layer = p->grid.n_wide; p->layer-- > last;) run(p->n_threads, backward_task, p);
}

static void rows_phase(piece *p) {
    if (p->grid.n_wide > 0) {
        wide_phases(p);
        return;
    }
    size_t tile = p->pass->net->engine->tile_rows, work = 3 * p->pass->net->multiply_adds;
    size_t units = ceiling(p->rows, LOSS_ROWS);
    size_t max_rows = (units + p->n_threads - 1) / p->n_threads * LOSS_ROWS;
    p->round_rows = p->n_threads == 1 ? p->rows : (1 + WORK_PER_ROUND / (work * tile)) * tile;
    for (p->done = 0; p->done < max_rows && !p->stopped; p->done += p->round_rows) {
        if (p->done > 0) p->stopped = should_stop(p->pass->poll, p->round_rows * work, p->callers_mode);
        if (!p->stopped) run(p->n_threads, rows_task, p);
    }
}

/* The rows that thread i will gather for the next piece or batch, if they are dense and `order` has their places. */
static fml_ahead rows_ahead(const piece *p, size_t i) {
    const fml_pass *pass = p->pass;
    size_t done = p->first + p->rows, bytes = row_bytes(pass->net, pass->data);
    int is_last = done == pass->rows;
    if (pass->order == NULL || pass->data->begins != NULL || pass->data->x_row > 0 || pass->data->x_rows != NULL)
        return (fml_ahead){NULL, NULL, 0, bytes};
    size_t n = p->k + 1 < p->n_pieces ? piece_first(p, p->k + 2) - done
               : is_last              ? pass->n_next / n_pieces_of(pass->net, pass->n_next)
                                      : 0;
    size_t begin = part_begin(n, LOSS_ROWS, i, p->n_threads), end = part_begin(n, LOSS_ROWS, i + 1, p->n_threads);
    return (fml_ahead){pass->data->x, pass->order + done + begin, end - begin, bytes};
}

/* The update to apply to the weight gradients of this piece: the pass's in the last piece, otherwise none. */
static const fml_update *update_of(const piece *p) {
    return p->first + p->rows == p->pass->rows ? p->pass->update : NULL;
}

/* Thread i's share of the weights of layer l. In a wide layer it has the outputs that it computes in the rows phase, so
 * that these weights need not move from one cache to another; row groups share the inputs. */
static fml_share share_of(const piece *p, size_t l, size_t i) {
    size_t I = p->pass->net->layers[l].n_inputs, O = p->pass->net->layers[l].n_outputs;
    if (p->n_threads == 1) return (fml_share){0, I, 0, O};
    if (l >= p->grid.n_wide) return (fml_share){inputs_begin(p, l, i), inputs_begin(p, l, i + 1), 0, O};
    size_t line = FML_ALIGNMENT / p->pass->net->kernels->real_size, unit = share_unit(p->pass->net);
    size_t row_group = i / p->grid.n_output_groups, group = i % p->grid.n_output_groups;
    size_t first = part_begin(O, unit, group, p->grid.n_output_groups);
    size_t last = part_begin(O, unit, group + 1, p->grid.n_output_groups);
    if (row_group >= p->grid.n_row_groups || first == last) return (fml_share){0, 0, 0, O};
    return (fml_share){part_begin(I, line, row_group, p->grid.n_row_groups),
                       part_begin(I, line, row_group + 1, p->grid.n_row_groups), first, last};
}

/* The weights phase of one round for thread i: the gradients of its share of the weights of each layer. */
static void weights_task(void *context, size_t i) {
    piece *p = context;
    const fml_network *net = p->pass->net;
    const fml_update *update = update_of(p);
    buffers b = thread_buffers(p, i);
    fml_ahead ahead = rows_ahead(p, i);
    for (size_t l = p->first_layer; l < p->end_layer; l++) {
        const void *x = l == 0 ? p->x : p->outputs[l - 1];
        size_t x_row = l == 0 ? p->x_row : layer_stride(net, l - 1);
        if (update == NULL && interrupted(p)) return;
        fml_share share = share_of(p, l, i);
        net->engine->weight_gradient(p->pass, l, x, x_row, p->deltas[l], p->rows, p->first > p->begin, update, &share,
                                     b.scratch, l == 0 ? &ahead : NULL);
    }
}

static void weights_phase(piece *p) {
    size_t n_layers = p->pass->net->n_layers, work = p->pass->net->multiply_adds * p->rows;
    int one_layer_rounds = p->n_threads > 1 && work > WORK_PER_ROUND && update_of(p) == NULL;
    for (p->first_layer = 0; p->first_layer < n_layers && !p->stopped; p->first_layer = p->end_layer) {
        p->end_layer = one_layer_rounds ? p->first_layer + 1 : n_layers;
        if (p->first_layer > 0) p->stopped = should_stop(p->pass->poll, work / n_layers, p->callers_mode);
        if (!p->stopped) run(p->n_threads, weights_task, p);
    }
}

/* -- the pass ---------------------------------------------------------------------------------------------------- */

/* Check the results of the rows phase, and add its losses to *loss. */
static fml_status add_losses(const piece *p, double *loss) {
    for (size_t i = 0; i < p->n_threads; i++)
        if (!p->finite[i]) return FML_INPUT_NOT_FINITE;
    for (size_t i = 0; i * p->loss_rows < p->rows; i++) *loss += p->losses[i];
    return *loss - *loss == 0 ? FML_OK : FML_LOSS_NOT_FINITE;
}

fml_status backward(const team *team, size_t begin, size_t end, void *workspace, double *loss) {
    const fml_pass *pass = team->pass;
    const fml_network *net = pass->net;
    piece p = new_piece(pass, end - begin, team->n_threads, 0, (arena){workspace, 0});
    fml_status status = FML_OK;
    p.begin = begin;
    p.end = end;
    p.prepared = team->prepared;
    p.callers_mode = team->callers_mode;
    p.scale = pass->weight > 0 ? 1 / pass->weight : 0;
    p.tile_work = net->multiply_adds * size_min(end - begin, net->engine->tile_rows);
    p.is_long = p.n_threads == 1 && p.tile_work > WORK_PER_ROUND;
    *loss = 0;
    p.n_pieces = n_pieces_of(net, end - begin);
    for (p.k = 0; p.k < p.n_pieces && status == FML_OK; p.k++) {
        p.first = piece_first(&p, p.k);
        p.rows = piece_first(&p, p.k + 1) - p.first;
        rows_phase(&p);
        if (!p.stopped) status = add_losses(&p, loss);
        if (p.stopped || should_stop(pass->poll, p.tile_work, p.callers_mode)) status = FML_STOPPED;
        if (status == FML_OK) weights_phase(&p);
        if (p.stopped) status = FML_STOPPED;
    }
    return status;
}
