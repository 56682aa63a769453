/* What every subject of the core's tests works with: a run, its checks, memory, and reals of either dtype.
 *
 * A run is one ISA and one dtype; a subject is a function that makes its checks on a run, in an order and a number that
 * depend on nothing but the driver's arguments. Arrays of reals are void pointers, as in core.h, read and written
 * as doubles. What the core may only read or must not write beyond is allocated to the byte, so that a sanitizer sees a
 * step too far. The driver is C11 with libc, libm and POSIX threads, and includes core.h of the core alone. */
#ifndef CHECK_H
#define CHECK_H

#include "core.h"
#include "find.h"

#define LENGTH_OF(array) (sizeof(array) / sizeof *(array))

typedef struct {
    const fml_kernels *kernels;
    double epsilon, smallest, largest; /* of the dtype: the spacing at 1, the least normal number, the largest */
    int quick;                         /* fewer sizes and points: for an emulated processor */
    const char *subject;
    size_t checks, failures;
    struct taken {
        void *memory;
        void (*give_back)(void *);
    } * taken; /* what `take` and `take_aligned` gave, in their order */
    size_t n_taken;
} run;

/* A value of plain double arithmetic, and how far from it the core may be. */
typedef struct {
    double value, error;
} bounded;

/* -- checks: each counts as one; a failure is reported with the message, and the run goes on ---------------------- */

int check(run *r, int ok, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Whether case i of a series is left out: in a quick run all are but every n-th. */
int left_out(const run *r, size_t i, size_t n);
/* Whether n reals are the same to the bit. */
int check_same_reals(run *r, const void *a, const void *b, size_t n, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Whether each of n reals is within its bound. */
int check_within(run *r, const void *actual, const bounded *expected, size_t n, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* -- memory: zeroed; the driver ends where there is none ---------------------------------------------------------- */

void *take(run *r, size_t bytes);         /* ends where the array ends */
void *take_aligned(run *r, size_t bytes); /* to a cache line, as the core wants blocks and workspaces */
void *take_reals(run *r, size_t n);
void release(run *r, size_t n_kept); /* all but the first n_kept */

/* -- reals of the run's dtype ------------------------------------------------------------------------------------- */

double get(const run *r, const void *reals, size_t i);
void put(const run *r, void *reals, size_t i, double value);
void *at(const run *r, const void *reals, size_t i);
double rounded(const run *r, double value);

/* n reals: uniform in [low, high), normal times a scale, or all the same. */
void *uniform_reals(run *r, size_t n, double low, double high, uint64_t *random);
void *normal_reals(run *r, size_t n, double scale, uint64_t *random);
void *equal_reals(run *r, size_t n, double value);

/* Numbers around the edges of panels and tiles. */
enum { N_EDGE_SIZES = 17, N_BATCHES = 16, MOST_ROWS = 131 };
extern const size_t EDGE_SIZES[N_EDGE_SIZES], BATCHES[N_BATCHES];

/* -- subjects ----------------------------------------------------------------------------------------------------- */

void check_random(run *r);
void check_activations(run *r);
void check_accuracy(run *r);
void check_losses(run *r);
void check_optimizers(run *r);
void check_schedules(run *r);
void check_methods(run *r);
void check_rows(run *r);
void check_sources(run *r);
void check_blocks(run *r);
void check_networks(run *r);
void check_gradients(run *r);
void check_training(run *r);
void check_trainer_state(run *r);
void check_regularization(run *r);
void check_denormals(run *r);
void check_concurrency(run *r);

#endif
