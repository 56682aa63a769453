/* fastmlp_call from several native threads at once: on the stack and in pieces of a model's memory, with and without
 * scaling, with more threads than pieces. All calls give the bits of fml_forward and allocate nothing. Under
 * ThreadSanitizer, memory that two threads use at once is reported. */
#include "model.h"
#include "naive.h"

#include <pthread.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

enum { N_CALLERS = 4, N_ROWS = 16 };
#ifdef FML_SANITIZED
enum { MANY_CALLS = 20000 };
#else
enum { MANY_CALLS = 10000000 };
#endif

typedef struct {
    fastmlp_model *model;
    const char *x, *expected;
    char *y;
    size_t row_bytes, result_bytes, n_calls, n_wrong;
} caller;

static void *make_calls(void *context) {
    caller *c = context;
    for (size_t i = 0; i < c->n_calls; i++) {
        fastmlp_call(c->x + i % N_ROWS * c->row_bytes, c->y, c->model);
        c->n_wrong += memcmp(c->y, c->expected + i % N_ROWS * c->result_bytes, c->result_bytes) != 0;
    }
    return NULL;
}

static size_t allocated_bytes(void) {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
    return mallinfo2().uordblks;
#else
    return 0;
#endif
}

typedef struct {
    const void *x, *expected;
    size_t I, O;
} rows_and_results;

/* Call the model n_calls times in all, by N_CALLERS threads at once. */
static void call_at_once(run *r, fastmlp_model *model, const rows_and_results *rows, size_t n_calls, const char *what) {
    pthread_t threads[N_CALLERS];
    caller callers[N_CALLERS];
    size_t real = r->kernels->real_size, before = 0;
    for (size_t i = 0; i < N_CALLERS; i++)
        callers[i] = (caller){model,          rows->x,        rows->expected,      take_reals(r, rows->O),
                              rows->I * real, rows->O * real, n_calls / N_CALLERS, 0};
    make_calls(&callers[0]);
    before = allocated_bytes();
    for (size_t i = 0; i < N_CALLERS; i++)
        check(r, pthread_create(&threads[i], NULL, make_calls, &callers[i]) == 0, "thread %zu", i);
    for (size_t i = 0; i < N_CALLERS; i++) pthread_join(threads[i], NULL);
    size_t grown = allocated_bytes() - before;
    /* The system keeps a little memory for each thread that has been. */
    check(r, grown < N_CALLERS * 4096, "%s: %zu bytes more after %zu calls", what, grown, n_calls);
    for (size_t i = 0; i < N_CALLERS; i++)
        check(r, callers[i].n_wrong == 0, "%s: %zu calls of thread %zu gave other bits", what, callers[i].n_wrong, i);
}

/* A model of a design that borrows its network, and what fml_forward gives for some rows. */
static void check_design(run *r, const design *wanted, int is_scaled, size_t n_pieces, size_t n_calls) {
    model *m = make_model(r, wanted, 1, 3);
    fml_data data = make_data(r, m, N_ROWS, VALUES, 4);
    double *numbers = take(r, 2 * (m->I + m->O) * sizeof *numbers);
    for (size_t i = 0; i < 2 * (m->I + m->O); i++) numbers[i] = 0.5 + (double)(i % 7);
    fastmlp_model bound = {.net = m->net, .block = m->block, .is_borrowed = 1};
    if (is_scaled) {
        bound.scaling.inputs = (fml_affine){numbers, numbers + m->I};
        bound.scaling.targets = (fml_affine){numbers + 2 * m->I, numbers + 2 * m->I + m->O};
    }
    data.scaling = &bound.scaling;
    rows_and_results rows = {data.x, take_reals(r, N_ROWS * m->O), m->I, m->O};
    void *workspace = take_aligned(r, fml_forward_workspace(&m->net, N_ROWS));
    fml_forward(&m->net, m->block, &data, NULL, NULL, (void *)(uintptr_t)rows.expected, workspace);
    check(r, fml_model_prepare(&bound), "%s: memory", m->name);
    check(r, (bound.pieces != NULL) == (n_pieces > 0), "%s: pieces", m->name);
    if (n_pieces > 0) bound.n_pieces = n_pieces;
    call_at_once(r, &bound, &rows, n_calls, m->name);
    for (size_t i = 0; i < bound.n_pieces; i++) check(r, bound.marks[i] == 0, "%s: piece %zu is free", m->name, i);
    fml_model_release(&bound);
    release(r, 0);
}

void check_calls(run *r) {
    static const design SMALL = {{4, 16, 16, 2}, "relu", "identity", "mse"};
    static const design WIDE = {{9, 2100, 3}, "tanh", "identity", "mse"};
    size_t n_few = r->quick ? 400 : 4000, is_fast = strcmp(r->kernels->isa, "base") != 0 && !r->quick;
    size_t n_many = is_fast && r->kernels->dtype == FML_F32 ? MANY_CALLS : n_few;
    for (int is_scaled = 0; is_scaled < 2; is_scaled++) {
        check_design(r, &SMALL, is_scaled, 0, is_scaled ? n_few : n_many);
        for (size_t n_pieces = 1; n_pieces <= 4; n_pieces += 3) check_design(r, &WIDE, is_scaled, n_pieces, n_few / 4);
    }
}
