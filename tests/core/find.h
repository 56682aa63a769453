/* Find rows of the core's tables by name, for the tests and bench/instructions.c; the core itself uses only indices and
 * pointers. The result is NULL if no row has the name. */
#ifndef FIND_H
#define FIND_H

#include "core.h"

#include <string.h>

#define FIND(table, wanted)                                             \
    for (size_t i = 0; (table)[i].name != NULL; i++)                    \
        if (strcmp((table)[i].name, (wanted)) == 0) return &(table)[i]; \
    return NULL

static inline const fml_activation *find_activation(const fml_kernels *kernels, const char *name) {
    FIND(kernels->activations, name);
}
static inline const fml_loss *find_loss(const fml_kernels *kernels, const char *name) { FIND(kernels->losses, name); }
static inline const fml_optimizer *find_optimizer(const fml_kernels *kernels, const char *name) {
    FIND(kernels->optimizers, name);
}
static inline const fml_schedule *find_schedule(const char *name) { FIND(fml_schedules, name); }

/* The kernels for an ISA; NULL unless the build and the processor have it. */
static inline const fml_kernels *find_kernels(const char *isa, fml_dtype dtype) {
    const fml_kernels *kernels = NULL;
    for (size_t i = 0; (kernels = fml_kernels_of(i, dtype)) != NULL; i++)
        if (strcmp(kernels->isa, isa) == 0) break;
    return kernels;
}

#endif
