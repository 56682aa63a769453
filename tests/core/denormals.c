/* Denormal numbers: within the core, results below the smallest normal number are 0. The caller's floating-point mode
 * is restored after a call, and during calls of a poll's callback. */
#include "naive.h"

/* Whether denormals are not flushed on this thread: half the smallest normal double is not 0. */
static int has_denormals(void) {
    volatile double smallest = 0x1p-1022;
    return smallest / 2 != 0;
}

static int see(void *context) {
    *(int *)context += has_denormals();
    return 0;
}

/* The output of a network y = w x, where w is the smallest normal number and x = 1/2. */
static double least_product(run *r, const model *m) {
    void *P = take_reals(r, 2), *x = equal_reals(r, 1, 0.5), *y = equal_reals(r, 1, 1);
    fml_data data = {.x = x, .n_rows = 1};
    put(r, P, 0, r->smallest);
    fml_network_pack(&m->net, P, m->block);
    fml_forward(&m->net, m->block, &data, NULL, NULL, y, take_aligned(r, fml_forward_workspace(&m->net, 1)));
    return get(r, y, 0);
}

void check_denormals(run *r) {
    static const design WANTED = {{1, 1}, NULL, "identity", "mse"};
    enum { ROWS = 300 };
    model *m = make_model(r, &WANTED, 1, 1);
    fml_data data = make_data(r, m, ROWS, VALUES, 1);
    void *workspace = take_aligned(r, fml_gradient_workspace(&m->net, ROWS, 0));
    int n_seen = 0;
    double loss, right;
    fml_poll poll = {see, &n_seen, 0, 0, 0};
    check(r, has_denormals(), "the tests run with denormals");
    double product = least_product(r, m);
    check(r, product == 0, "half the smallest normal number is %g", product);
    check(r, has_denormals(), "denormals after a prediction");
    fml_evaluate(&m->net, m->block, &data, &loss, &right, &poll, workspace);
    check(r, has_denormals() && n_seen > 0, "denormals after an evaluation, and in its %d polls", n_seen);
    n_seen = 0;
    fml_pass pass = {.net = &m->net,
                     .block = m->block,
                     .data = &data,
                     .rows = ROWS,
                     .weight = ROWS,
                     .gradient = take_aligned(r, m->net.n_packed * r->kernels->real_size),
                     .poll = &poll,
                     .workspace = workspace};
    fml_gradient(&pass, &loss);
    check(r, has_denormals() && n_seen > 0, "denormals after a gradient, and in its %d polls", n_seen);
    release(r, 0);
}
