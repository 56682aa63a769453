/* The gradient of the mean loss of a batch with respect to the parameters and to the inputs (fml_gradient): how the
 * work is divided among threads.
 *
 * There are two ways. Large networks, and batches that are a single piece, are processed by one team of threads, piece
 * by piece: the threads divide the rows of a piece, synchronise, and divide its weights (backward.c). In a small
 * network a piece is too short for that: its many rows are divided into parts, each of which one thread takes through
 * all phases by itself into a gradient of its own, and the threads synchronise once before they add these gradients.
 *
 * Which way is taken, and into which parts a batch is divided, depends on the network and on the number of rows, and
 * not on the number of threads, and the gradients of the parts are added in their order. So the result has the same
 * bits for any number of threads. */
#include "backward.h"
#include "pass_common.h"

enum {
    MAX_WORK_BY_PARTS = 1 << 16, /* networks with more multiply-adds per row are processed by one team */
    MIN_PART_ROWS = 96,          /* with fewer, reading and adding the weight gradients would take a noticeable time */
    MAX_PARTS = 32,              /* of a round */
    MIN_PREPARED = 1 << 14,      /* reals for which another thread helps to prepare weights, about 2 us */
    SUM_REALS = 1 << 10          /* so many elements are added up over all parts at a time, in the first-level cache */
};

/* A gradient in parts, shared by its threads. */
typedef struct {
    const fml_pass *pass;
    fml_division division;
    size_t round;
    team team;            /* of each part: one thread */
    void **prepared;      /* see backward.h */
    size_t n_preparing;   /* the number of threads that write them */
    char *gradients;      /* a block for each part of a round */
    char *workspaces;     /* one for each thread, */
    size_t per_thread;    /* of so many bytes */
    double *losses;       /* of each part of a round */
    fml_status *statuses; /* of each part of a round */
} parts;

/* -- the division ------------------------------------------------------------------------------------------------ */

/* The largest number of parts that is at most n, among those that many numbers of threads divide. */
static size_t even_number_of_parts(size_t n) {
    static const size_t numbers[] = {MAX_PARTS, 24, 16, 12, 8, 6, 4, 2};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (n >= numbers[i]) return numbers[i];
    return 1;
}

/* Whether a batch of that many rows is divided into parts, rather than given to one team as a whole. */
static int is_divided(const fml_network *net, size_t rows) {
    return rows >= max_piece_rows(net) && net->engine->takes_threads && net->own_loss == NULL &&
           net->multiply_adds <= MAX_WORK_BY_PARTS;
}

fml_division fml_division_of(const fml_network *net, size_t rows) {
    if (!is_divided(net, rows)) return (fml_division){1, 1, team_threads(net, rows)};
    size_t part_work = net->multiply_adds * MAX_PARTS * LOSS_ROWS;
    size_t max_rows = MAX_PARTS * LOSS_ROWS * (1 + WORK_PER_ROUND / part_work);
    fml_division division = {.n_rounds = ceiling(rows, max_rows)};
    division.n_parts = even_number_of_parts(rows / division.n_rounds / MIN_PART_ROWS);
    division.n_threads = size_min(threads_for(net, rows), division.n_parts);
    return division;
}

/* The first row of part `part` of the current round; that of part n_parts is where the next round begins. */
static size_t part_first(const parts *p, size_t part) {
    size_t n_rows = p->pass->rows, begin = part_begin(n_rows, LOSS_ROWS, p->round, p->division.n_rounds);
    size_t end = part_begin(n_rows, LOSS_ROWS, p->round + 1, p->division.n_rounds);
    return begin + part_begin(end - begin, LOSS_ROWS, part, p->division.n_parts);
}

/* -- the workspace ----------------------------------------------------------------------------------------------- */

static int in_parts(const fml_division *division) { return division->n_rounds * division->n_parts > 1; }

static parts new_parts(const fml_pass *pass, const fml_division *division, arena *a) {
    const fml_network *net = pass->net;
    const fml_engine *engine = net->engine;
    parts p = {.pass = pass, .division = *division, .prepared = arena_alloc(a, net->n_layers * sizeof(void *))};
    size_t n_prepared = 0;
    for (size_t l = 0; l < net->n_layers; l++) {
        int needed = engine->prepare != NULL && (l > 0 || pass->dx != NULL);
        size_t size = needed ? engine->prepared_size(net->layers[l].n_inputs, net->layers[l].n_outputs) : 0;
        void *prepared = needed ? arena_alloc_reals(net, a, size) : NULL;
        n_prepared += size;
        if (a->base != NULL) p.prepared[l] = prepared;
    }
    p.n_preparing = size_min(division->n_threads, 1 + n_prepared / MIN_PREPARED);
    if (!in_parts(division)) return p;
    p.losses = arena_alloc(a, division->n_parts * sizeof *p.losses);
    p.statuses = arena_alloc(a, division->n_parts * sizeof *p.statuses);
    p.gradients = arena_alloc_reals(net, a, division->n_parts * net->n_packed);
    p.per_thread = thread_workspace(pass);
    p.workspaces = arena_alloc(a, division->n_threads * p.per_thread);
    return p;
}

/* The bytes of workspace that suffice for a pass over that many rows or fewer: the larger of what a team needs, and
 * what parts need. Either only grows with the rows; but fewer rows may go to a team where more are divided into parts.
 */
static size_t workspace_of(const fml_pass *pass, size_t rows) {
    fml_division division = fml_division_of(pass->net, rows), team = {1, 1, 1};
    arena parts = {NULL, 0}, one = {NULL, 0};
    new_parts(pass, &division, &parts);
    new_parts(pass, &team, &one);
    return size_max(parts.used, one.used + max_backward_workspace(pass, rows));
}

size_t fml_gradient_workspace(const fml_network *net, size_t rows, int with_dx) {
    fml_pass pass = {.net = net, .dx = with_dx ? &pass : NULL};
    return workspace_of(&pass, rows);
}

size_t fml_training_workspace(const fml_trainer *trainer, size_t rows) {
    fml_pass pass = {.net = trainer->net, .regularization = trainer->regularization};
    return workspace_of(&pass, rows);
}

/* -- tasks of the threads ---------------------------------------------------------------------------------------- */

static void prepare_task(void *context, size_t i) {
    const parts *p = context;
    const fml_network *net = p->pass->net;
    size_t line = FML_ALIGNMENT / net->kernels->real_size;
    for (size_t l = 0; l < net->n_layers; l++) {
        size_t I = net->layers[l].n_inputs, n_threads = p->n_preparing;
        if (p->prepared[l] != NULL)
            net->engine->prepare(net, l, p->pass->block, p->prepared[l], part_begin(I, line, i, n_threads),
                                 part_begin(I, line, i + 1, n_threads));
    }
}

/* Compute the gradients of thread i's parts of a round. */
static void parts_task(void *context, size_t i) {
    parts *p = context;
    const fml_network *net = p->pass->net;
    fml_pass own = *p->pass;
    team team = p->team;
    team.pass = &own;
    own.update = NULL;
    if (p->division.n_threads > 1)
        own.poll = NULL; /* only the caller's thread may poll, and only while no other works for it */
    size_t end = part_begin(p->division.n_parts, 1, i + 1, p->division.n_threads);
    for (size_t part = part_begin(p->division.n_parts, 1, i, p->division.n_threads); part < end; part++) {
        own.gradient = reals(net, p->gradients, part * net->n_packed);
        p->statuses[part] = backward(&team, part_first(p, part), part_first(p, part + 1),
                                     p->workspaces + i * p->per_thread, &p->losses[part]);
        if (p->statuses[part] != FML_OK) return;
    }
}

/* Add the gradients of a round's parts to pass->gradient, in their order: thread i's share of the elements. */
static void sum_task(void *context, size_t i) {
    const parts *p = context;
    const fml_network *net = p->pass->net;
    size_t line = FML_ALIGNMENT / net->kernels->real_size, n;
    size_t end = part_begin(net->n_packed, line, i + 1, p->division.n_threads);
    for (size_t at = part_begin(net->n_packed, line, i, p->division.n_threads); at < end; at += n) {
        void *sum = reals(net, p->pass->gradient, at);
        n = size_min(SUM_REALS, end - at);
        for (size_t part = 0; part < p->division.n_parts; part++) {
            const void *gradient = reals(net, p->gradients, part * net->n_packed + at);
            if (p->round == 0 && part == 0)
                memcpy(sum, gradient, n * net->kernels->real_size);
            else
                net->kernels->combine(1, sum, 1, gradient, sum, n);
        }
    }
}

/* -- the gradient ------------------------------------------------------------------------------------------------ */

static fml_status gradient_in_parts(parts *p, double *loss) {
    fml_status status = FML_OK;
    size_t work = p->pass->net->multiply_adds;
    for (p->round = 0; p->round < p->division.n_rounds && status == FML_OK; p->round++) {
        for (size_t i = 0; i < p->division.n_parts; i++) p->statuses[i] = FML_OK;
        run(p->division.n_threads, parts_task, p);
        for (size_t i = 0; i < p->division.n_parts && status == FML_OK; i++) {
            status = p->statuses[i];
            *loss += p->losses[i];
        }
        if (status == FML_OK && *loss - *loss != 0) status = FML_LOSS_NOT_FINITE;
        size_t rows = (part_first(p, p->division.n_parts) - part_first(p, 0)) / p->division.n_threads;
        if (p->division.n_threads > 1 && should_stop(p->pass->poll, 3 * work * rows, p->team.callers_mode))
            status = FML_STOPPED; /* also if the loss is not finite: an error in a custom function may be why */
        if (status == FML_OK) run(p->division.n_threads, sum_task, p);
    }
    return status;
}

fml_status fml_gradient(const fml_pass *pass, double *loss) {
    const fml_network *net = pass->net;
    float_mode mode = flush_denormals();
    fml_division division = fml_division_of(net, pass->rows);
    arena a = {pass->workspace, 0};
    parts p = new_parts(pass, &division, &a);
    fml_status status;
    *loss = 0;
    if (net->engine->prepare != NULL && (net->n_layers > 1 || pass->dx != NULL)) run(p.n_preparing, prepare_task, &p);
    p.team = (team){pass, in_parts(&division) ? 1 : division.n_threads, p.prepared, mode};
    if (in_parts(&division))
        status = gradient_in_parts(&p, loss);
    else
        status = backward(&p.team, 0, pass->rows, a.base + a.used, loss);
    if (pass->suspect != NULL) *pass->suspect |= division.n_threads > 1 || exceptions_raised();
    restore_mode(mode);
    return status;
}

int fml_updates_in_pass(const fml_network *net, size_t rows) {
    return net->engine->gradient_scratch != NULL && !is_divided(net, rows);
}

double fml_total_weight(const fml_data *data, const uint32_t *order, size_t rows) {
    double total = 0;
    if (data->weights == NULL) return (double)rows;
    for (size_t i = 0; i < rows; i++) total += data->weights[order == NULL ? i : order[i]];
    return total;
}
