/* The kernel tables of this build, best ISA first, and which of them the processor can run. The caller chooses among
 * these: _kernels.pxi takes the first, or the one that FASTMLP_ISA names. To add an ISA, write kernels_<isa>_f32.c and
 * kernels_<isa>_f64.c, and add a group to build.toml and a row here. */
#include "core.h"

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
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
}
#endif
#ifdef FML_HAVE_NEON
extern const fml_kernels fml_kernels_neon_f32, fml_kernels_neon_f64;
static int has_neon(void) { return 1; } /* every 64-bit ARM processor has it */
#endif
#ifdef FML_HAVE_WIDE /* 64-byte vectors on AVX2, which only the core's tests are built with */
extern const fml_kernels fml_kernels_wide_f32, fml_kernels_wide_f64;
#endif
static int has_base(void) { return 1; }

static const struct {
    int (*available)(void);
    const fml_kernels *kernels[2]; /* by fml_dtype */
} ISAS[] = {
#ifdef FML_HAVE_AVX512
    {has_avx512, {&fml_kernels_avx512_f32, &fml_kernels_avx512_f64}},
#endif
#ifdef FML_HAVE_AVX2
    {has_avx2, {&fml_kernels_avx2_f32, &fml_kernels_avx2_f64}},
#endif
#ifdef FML_HAVE_NEON
    {has_neon, {&fml_kernels_neon_f32, &fml_kernels_neon_f64}},
#endif
#ifdef FML_HAVE_WIDE
    {has_avx2, {&fml_kernels_wide_f32, &fml_kernels_wide_f64}},
#endif
    {has_base, {&fml_kernels_base_f32, &fml_kernels_base_f64}},
};
enum { N_ISAS = sizeof ISAS / sizeof *ISAS };

const fml_kernels *fml_kernels_of(size_t i, fml_dtype dtype) {
    for (size_t k = 0; k < N_ISAS; k++)
        if (ISAS[k].available() && i-- == 0) return ISAS[k].kernels[dtype];
    return NULL;
}

const fml_engine *fml_find_engine(const fml_kernels *kernels, const char *name) {
    for (const fml_engine_row *row = kernels->engines; row->name != NULL; row++)
        if (strcmp(row->name, name) == 0 && (row->available == NULL || row->available())) return row->engine;
    return NULL;
}
