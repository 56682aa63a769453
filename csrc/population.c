/* Predictions of a population: many parameter vectors of one architecture, as evolution strategies and ensembles have.
 *
 * Each parameter vector is packed into a block and its rows go forward through it. Where there are several networks for
 * each thread, a thread takes whole networks, so that the block it packs stays in its own cache and threads meet once a
 * round; otherwise all threads share the rows of one network after another. Both give the bits of fml_forward. */
#include "pass_common.h"

typedef struct {
    const fml_network *net; /* with the number of threads for the rows of one network */
    const char *P;
    const fml_data *data;
    int has_own_rows;
    char *output;
    size_t n_threads, first, end; /* of the networks of a round */
    char *memory;
    size_t block_bytes, per_thread;
} population;

/* each: the network as every prediction uses it, on one thread if threads share the networks. */
static population begin(const fml_network *net, size_t n_networks, size_t rows, arena *a, fml_network *each) {
    double work = (double)net->multiply_adds * (double)rows * (double)n_networks;
    size_t worth = (size_t)(work / MIN_WORK_PER_THREAD),
           n = size_min(size_min(net->n_threads, n_networks), fml_thread_limit());
    population p = {.n_threads = 1};
    if (net->engine->takes_threads && n_networks >= 2 * net->n_threads) p.n_threads = size_max(1, size_min(worth, n));
    *each = *net;
    if (p.n_threads > 1) each->n_threads = 1;
    p.block_bytes = padded(net->n_packed * net->kernels->real_size, FML_ALIGNMENT);
    p.per_thread = p.block_bytes + padded(fml_forward_workspace(each, rows), FML_ALIGNMENT);
    p.memory = arena_alloc(a, p.n_threads * p.per_thread);
    return p;
}

size_t fml_population_workspace(const fml_network *net, size_t n_networks, size_t rows) {
    arena a = {NULL, 0};
    fml_network each;
    begin(net, n_networks, rows, &a, &each);
    return a.used;
}

/* The predictions of the networks of thread i's share of the round. */
static void networks_task(void *context, size_t i) {
    const population *p = context;
    const fml_network *net = p->net;
    size_t n = p->end - p->first, rows = p->data->n_rows, O = last_layer(net)->n_outputs;
    size_t begin = p->first + part_begin(n, 1, i, p->n_threads), end = p->first + part_begin(n, 1, i + 1, p->n_threads);
    char *block = p->memory + i * p->per_thread;
    memset(block, 0, p->block_bytes); /* the padding, which fml_network_pack leaves as it is */
    for (size_t k = begin; k < end; k++) {
        fml_data data = *p->data;
        if (p->has_own_rows) data.x = (const char *)data.x + k * rows * row_bytes(net, &data);
        fml_network_pack(net, reals(net, p->P, k * net->n_parameters), block);
        fml_forward(net, block, &data, NULL, NULL, reals(net, p->output, k * rows * O), block + p->block_bytes);
    }
}

fml_status fml_forward_population(const fml_network *net, const void *P, size_t n_networks, const fml_data *data,
                                  int has_own_rows, void *output, fml_poll *poll, void *workspace) {
    arena a = {workspace, 0};
    fml_network each;
    population p = begin(net, n_networks, data->n_rows, &a, &each);
    size_t work = net->multiply_adds * data->n_rows, round = p.n_threads * (1 + WORK_PER_ROUND / (work + 1));
    p.net = &each;
    p.P = P;
    p.data = data;
    p.has_own_rows = has_own_rows;
    p.output = output;
    for (p.first = 0; p.first < n_networks; p.first = p.end) {
        p.end = size_min(p.first + round, n_networks);
        run(p.n_threads, networks_task, &p);
        if (should_stop(poll, work * (p.end - p.first), current_mode())) return FML_STOPPED;
    }
    return FML_OK;
}
