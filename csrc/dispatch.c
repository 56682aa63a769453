/* Which kernel table a network gets: the list of ISAs that this build carries, best first, and what the
 * processor can run. FASTMLP_ISA overrides the choice and is refused where the processor lacks it.
 * To add an ISA: kernels_<isa>_<dtype>.c, its group in build.toml, its row here. */
#include "fastmlp.h"

#include <stdlib.h>
#include <string.h>

extern const fml_kernels fml_kernels_base_f32, fml_kernels_base_f64;
#ifdef FML_HAVE_AVX2
extern const fml_kernels fml_kernels_avx2_f32, fml_kernels_avx2_f64;
static int has_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif
#ifdef FML_HAVE_AVX512
extern const fml_kernels fml_kernels_avx512_f32, fml_kernels_avx512_f64;
static int has_avx512(void) {
    __builtin_cpu_init();
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}
#endif
#ifdef FML_HAVE_NEON
extern const fml_kernels fml_kernels_neon_f32, fml_kernels_neon_f64;
static int has_neon(void) { return 1; } /* every 64-bit ARM processor has it */
#endif
#ifdef FML_HAVE_WIDE /* the core's tests alone have it: 64-byte vectors on AVX2 */
extern const fml_kernels fml_kernels_wide_f32, fml_kernels_wide_f64;
#endif
static int has_base(void) { return 1; }

static const struct {
    const char *isa;
    int (*available)(void);
    const fml_kernels *kernels[2]; /* by fml_dtype */
} ISAS[] = {
#ifdef FML_HAVE_AVX512
    {"avx512", has_avx512, {&fml_kernels_avx512_f32, &fml_kernels_avx512_f64}},
#endif
#ifdef FML_HAVE_AVX2
    {"avx2", has_avx2, {&fml_kernels_avx2_f32, &fml_kernels_avx2_f64}},
#endif
#ifdef FML_HAVE_NEON
    {"neon", has_neon, {&fml_kernels_neon_f32, &fml_kernels_neon_f64}},
#endif
#ifdef FML_HAVE_WIDE
    {"wide", has_avx2, {&fml_kernels_wide_f32, &fml_kernels_wide_f64}},
#endif
    {"base", has_base, {&fml_kernels_base_f32, &fml_kernels_base_f64}},
};
enum { N_ISAS = sizeof ISAS / sizeof *ISAS };

const char *fml_isa(size_t i) {
    for (size_t k = 0; k < N_ISAS; k++)
        if (ISAS[k].available() && i-- == 0) return ISAS[k].isa;
    return NULL;
}

const fml_kernels *fml_find_kernels(const char *isa, fml_dtype dtype) {
    if (isa == NULL || *isa == '\0') isa = getenv("FASTMLP_ISA");
    if (isa == NULL || *isa == '\0') isa = fml_isa(0);
    for (size_t k = 0; k < N_ISAS; k++)
        if (strcmp(isa, ISAS[k].isa) == 0) return ISAS[k].available() ? ISAS[k].kernels[dtype] : NULL;
    return NULL;
}

/* The row of `table` whose name is `wanted`. */
#define FIND(table, wanted)                                             \
    for (size_t i = 0; (table)[i].name != NULL; i++)                    \
        if (strcmp((table)[i].name, (wanted)) == 0) return &(table)[i]; \
    return NULL

const fml_activation *fml_find_activation(const fml_kernels *kernels, const char *name) {
    FIND(kernels->activations, name);
}
const fml_loss *fml_find_loss(const fml_kernels *kernels, const char *name) { FIND(kernels->losses, name); }
const fml_optimizer *fml_find_optimizer(const fml_kernels *kernels, const char *name) {
    FIND(kernels->optimizers, name);
}
