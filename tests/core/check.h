/* The framework of the core's tests: runs, checks, memory, and arrays of reals of either dtype.
 *
 * A run tests one ISA with one dtype. A subject is a function check_<subject> that makes checks on a run; their order
 * and number depend only on the arguments of the test program. Arrays of reals are void pointers, as in core.h, whose
 * elements are read and written as doubles. Arrays are allocated with their exact size, so that a sanitizer reports any
 * access beyond them. The tests are written in C11 with libc, libm and POSIX threads, and include only public headers
 * of csrc. */
#ifndef CHECK_H
#define CHECK_H

#include "core.h"
#include "find.h"

#define LENGTH_OF(array) (sizeof(array) / sizeof *(array))

typedef struct {
    const fml_kernels *kernels;
    double epsilon, smallest, largest; /* of the dtype: spacing at 1, smallest normal number, largest number */
    int quick;                         /* whether to test fewer sizes and points, for an emulated processor */
    const char *subject;
    size_t checks, failures;
    struct taken {
        void *memory;
        void (*give_back)(void *);
    } * taken; /* the allocations of `take` and `take_aligned`, in their order */
    size_t n_taken;
} run;

/* A value computed in double, and the maximum error that the core's result may have. */
typedef struct {
    double value, error;
} bounded;

/* -- checks: a failure is counted and reported with the message, and the run goes on ------------------------------ */

int check(run *r, int ok, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Whether to skip case i of a series: a quick run makes only every n-th case. */
int left_out(const run *r, size_t i, size_t n);
/* Check that n reals are bitwise equal. */
int check_same_reals(run *r, const void *a, const void *b, size_t n, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Check that each of n reals is within its bound. */
int check_within(run *r, const void *actual, const bounded *expected, size_t n, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* -- allocation: zeroed; the program exits if there is not enough memory ------------------------------------------ */

void *take(run *r, size_t bytes);         /* of exactly that size */
void *take_aligned(run *r, size_t bytes); /* aligned to a cache line, for blocks and workspaces */
void *take_reals(run *r, size_t n);
void release(run *r, size_t n_kept); /* frees all allocations but the first n_kept */

/* -- reals of the run's dtype ------------------------------------------------------------------------------------- */

double get(const run *r, const void *reals, size_t i);
void put(const run *r, void *reals, size_t i, double value);
void *at(const run *r, const void *reals, size_t i);
double rounded(const run *r, double value);

/* Allocate n reals: uniform in [low, high), normally distributed with the standard deviation scale, or all equal. */
void *uniform_reals(run *r, size_t n, double low, double high, uint64_t *random);
void *normal_reals(run *r, size_t n, double scale, uint64_t *random);
void *equal_reals(run *r, size_t n, double value);

/* Numbers of outputs and of rows around multiples of the sizes of panels and tiles. */
enum { N_EDGE_SIZES = 17, N_BATCHES = 16, MAX_ROWS = 131 };
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
void check_narrow(run *r);
void check_gradients(run *r);
void check_training(run *r);
void check_trainer_state(run *r);
void check_regularization(run *r);
void check_denormals(run *r);
void check_row_program(run *r);
void check_concurrency(run *r);
void check_calls(run *r);

#endif
