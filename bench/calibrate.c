/* The peak performance of the processor: loops of fused multiply-adds, of divisions and of square roots, and passes
 * over a buffer in memory.
 *
 * calibrate.py compiles this file with the system's compiler, without flags for a processor, and calls its functions.
 * Each function has its own target attribute, and `supported` tells which of them this processor can run. The 16-byte
 * functions run on every processor (on x86-64 as a multiplication and an addition, since the baseline has no fused
 * multiply-add). The vectors are GCC's vector extension. This file is independent of fastmlp. */
#include <stddef.h>
#include <stdint.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/* Numbers of independent accumulators: enough to hide the latency of two FMA units, few enough for 16 registers. */
enum { CHAINS = 12, STREAMS = 8 };

#if defined(__x86_64__)
#define TARGET_32 __attribute__((target("avx2,fma")))
#define TARGET_64 __attribute__((target("avx512f")))
#else
#define TARGET_32
#define TARGET_64
#endif
#define TARGET_16

/* n times CHAINS independent operations s <- NEXT(s) on vectors, from s = FIRST, FIRST + 1, ... in the chains. The
 * first lanes are added and returned, so that the loop is not optimised away and can be checked. */
#define LOOP(NAME, TYPE, REAL, BYTES, FIRST, NEXT)                                                           \
    TARGET_##BYTES double NAME##_##TYPE##_##BYTES(size_t n) {                                                \
        typedef REAL vector __attribute__((vector_size(BYTES)));                                             \
        vector sums[CHAINS], half = (vector){0} + (REAL)0.5;                                                 \
        double total = 0;                                                                                    \
        _Pragma("GCC unroll 16") for (int c = 0; c < CHAINS; c++) sums[c] = (vector){0} + (REAL)(FIRST + c); \
        for (size_t i = 0; i < n; i++)                                                                       \
            _Pragma("GCC unroll 16") for (int c = 0; c < CHAINS; c++) sums[c] = (vector)NEXT(sums[c]);       \
        _Pragma("GCC unroll 16") for (int c = 0; c < CHAINS; c++) total += (double)sums[c][0];               \
        (void)half;                                                                                          \
        return total;                                                                                        \
    }
#define MULTIPLY_ADD(s) (s * half + half)
#define DIVIDE(s) (half / s)

/* The loops of multiply-adds, divisions and square roots; ROOT_F32 and ROOT_F64 are the roots of a vector. */
#define LOOPS(BYTES, ROOT_F32, ROOT_F64)               \
    LOOP(fma, float32, float, BYTES, 0, MULTIPLY_ADD)  \
    LOOP(fma, float64, double, BYTES, 0, MULTIPLY_ADD) \
    LOOP(divide, float32, float, BYTES, 1, DIVIDE)     \
    LOOP(divide, float64, double, BYTES, 1, DIVIDE)    \
    LOOP(root, float32, float, BYTES, 1, ROOT_F32)     \
    LOOP(root, float64, double, BYTES, 1, ROOT_F64)
#if defined(__x86_64__)
#define ROOT_F32_16(s) _mm_sqrt_ps((__m128)(s))
#define ROOT_F64_16(s) _mm_sqrt_pd((__m128d)(s))
#define ROOT_F32_32(s) _mm256_sqrt_ps((__m256)(s))
#define ROOT_F64_32(s) _mm256_sqrt_pd((__m256d)(s))
#define ROOT_F32_64(s) _mm512_sqrt_ps((__m512)(s))
#define ROOT_F64_64(s) _mm512_sqrt_pd((__m512d)(s))
#elif defined(__aarch64__)
#define ROOT_F32_16(s) vsqrtq_f32((float32x4_t)(s))
#define ROOT_F64_16(s) vsqrtq_f64((float64x2_t)(s))
#endif

/* `repeats` passes over an aligned buffer, whose size is a multiple of STREAMS vectors: sum reads it, update adds 1 to
 * each element in place. The elements are integers, whose addition is never the bottleneck. The asm hides the value of
 * the pointer, so that the compiler cannot merge passes. */
#define PASSES(BYTES)                                                                               \
    typedef int64_t integers_##BYTES __attribute__((vector_size(BYTES)));                           \
    TARGET_##BYTES int64_t sum_##BYTES(const void *buffer, size_t bytes, size_t repeats) {          \
        const integers_##BYTES *x = buffer;                                                         \
        integers_##BYTES sums[STREAMS];                                                             \
        _Pragma("GCC unroll 16") for (int c = 0; c < STREAMS; c++) sums[c] = (integers_##BYTES){0}; \
        for (size_t r = 0; r < repeats; r++) {                                                      \
            __asm__ volatile("" : "+r"(x));                                                         \
            for (size_t i = 0; i < bytes / BYTES; i += STREAMS)                                     \
                _Pragma("GCC unroll 16") for (int c = 0; c < STREAMS; c++) sums[c] += x[i + c];     \
        }                                                                                           \
        _Pragma("GCC unroll 16") for (int c = 1; c < STREAMS; c++) sums[0] += sums[c];              \
        return sums[0][0];                                                                          \
    }                                                                                               \
    TARGET_##BYTES void update_##BYTES(void *buffer, size_t bytes, size_t repeats) {                \
        integers_##BYTES *x = buffer;                                                               \
        for (size_t r = 0; r < repeats; r++) {                                                      \
            __asm__ volatile("" : "+r"(x) : : "memory");                                            \
            for (size_t i = 0; i < bytes / BYTES; i += STREAMS)                                     \
                _Pragma("GCC unroll 16") for (int c = 0; c < STREAMS; c++) x[i + c] += 1;           \
        }                                                                                           \
    }

LOOPS(16, ROOT_F32_16, ROOT_F64_16)
PASSES(16)
#if defined(__x86_64__)
LOOPS(32, ROOT_F32_32, ROOT_F64_32)
PASSES(32)
LOOPS(64, ROOT_F32_64, ROOT_F64_64)
PASSES(64)
#endif

/* Whether this processor, and this file, has functions for vectors of so many bytes. */
int supported(int bytes) {
#if defined(__x86_64__)
    if (bytes == 32) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (bytes == 64) return !!__builtin_cpu_supports("avx512f");
#endif
    return bytes == 16;
}
