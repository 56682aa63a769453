/* The tests of the C core, without Python: every subject on every ISA of the build and the processor, in float32 and
 * float64.
 *
 *     core_tests [--quick] [ISA ...]     test these ISAs (default: that of FASTMLP_ISA, or all); --quick: fewer cases
 *     core_tests --plant-error KIND      make an error that a sanitizer must report; KIND is memory or race
 *
 * Prints a line for each ISA and dtype, and a last line with the ISAs and the totals. The number of checks depends only
 * on the arguments. Exit status: 1 if a check failed, 2 if an ISA is not available. */
#include "check.h"

#include <float.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const struct {
    const char *name;
    void (*check)(run *r);
} SUBJECTS[] = {
    {"random", check_random},
    {"activations", check_activations},
    {"accuracy", check_accuracy},
    {"losses", check_losses},
    {"optimizers", check_optimizers},
    {"schedules", check_schedules},
    {"methods", check_methods},
    {"rows", check_rows},
    {"sources", check_sources},
    {"blocks", check_blocks},
    {"networks", check_networks},
    {"narrow", check_narrow},
    {"gradients", check_gradients},
    {"training", check_training},
    {"trainer_state", check_trainer_state},
    {"denormals", check_denormals},
    {"row_program", check_row_program},
    {"concurrency", check_concurrency},
    {"calls", check_calls},
    {"regularization", check_regularization},
};
/* clang-format on */

enum { MAX_ISAS = 8 };
typedef struct {
    const char *isas[MAX_ISAS];
    size_t n_isas;
    int quick;
} options;

static void add_isa(options *o, const char *isa) {
    if (o->n_isas == MAX_ISAS || find_kernels(isa, FML_F32) == NULL) {
        fprintf(stderr, "core tests: this build or this processor has no isa '%s'\n", isa);
        exit(2);
    }
    o->isas[o->n_isas++] = isa;
}

static options read_options(char **arguments) {
    options o = {.quick = 0};
    const char *wanted = getenv("FASTMLP_ISA");
    for (; *arguments != NULL; arguments++)
        if (strcmp(*arguments, "--quick") == 0)
            o.quick = 1;
        else
            add_isa(&o, *arguments);
    if (o.n_isas == 0 && wanted != NULL && *wanted != '\0') add_isa(&o, wanted);
    for (size_t i = 0, all = o.n_isas == 0; all && fml_kernels_of(i, FML_F32) != NULL; i++)
        add_isa(&o, fml_kernels_of(i, FML_F32)->isa);
    return o;
}

static run make_run(const char *isa, fml_dtype dtype, int quick) {
    run r = {.kernels = find_kernels(isa, dtype), .quick = quick};
    r.epsilon = dtype == FML_F32 ? FLT_EPSILON : DBL_EPSILON;
    r.smallest = dtype == FML_F32 ? FLT_MIN : DBL_MIN;
    r.largest = dtype == FML_F32 ? FLT_MAX : DBL_MAX;
    r.subject = "tables";
    check(&r, strcmp(r.kernels->isa, isa) == 0 && r.kernels->dtype == dtype, "the table of %s", isa);
    for (size_t i = 0; i < LENGTH_OF(SUBJECTS); i++) {
        r.subject = SUBJECTS[i].name;
        SUBJECTS[i].check(&r);
    }
    printf("%s %s: %zu checks, %zu failures\n", isa, dtype == FML_F32 ? "float32" : "float64", r.checks, r.failures);
    fflush(stdout);
    return r;
}

static void *count_unguarded(void *counter) {
    for (int i = 0; i < 100000; i++) ++*(volatile int *)counter;
    return NULL;
}

/* Make an error of this kind; returns if no sanitizer has ended the process. */
static int plant_error(const char *kind) {
    int counter = 0;
    if (strcmp(kind, "memory") == 0) return fml_plant_error() * 0;
    pthread_t thread;
    if (pthread_create(&thread, NULL, count_unguarded, &counter) != 0) return 0;
    count_unguarded(&counter);
    pthread_join(thread, NULL);
    return 0;
}

int main(int n_arguments, char **arguments) {
    if (n_arguments == 3 && strcmp(arguments[1], "--plant-error") == 0) return plant_error(arguments[2]);
    options o = read_options(arguments + 1);
    size_t checks = 0, failures = 0;
    for (size_t i = 0; i < o.n_isas; i++)
        for (int dtype = FML_F32; dtype <= FML_F64; dtype++) {
            run r = make_run(o.isas[i], (fml_dtype)dtype, o.quick);
            checks += r.checks;
            failures += r.failures;
        }
    printf("core tests: isa ");
    for (size_t i = 0; i < o.n_isas; i++) printf("%s%s", i > 0 ? ", " : "", o.isas[i]);
    printf("; %zu checks, %zu failures\n", checks, failures);
    return failures > 0;
}
