/* The peak performance of the processor: loops of fused multiply-adds, and passes over a buffer in memory.
 *
 * calibrate.py compiles this file with the system's compiler, without flags for a processor, and calls its functions.
 * Each function has its own target attribute, and `supported` tells which of them this processor can run. The 16-byte
 * functions run on every processor (on x86-64 as a multiplication and an addition, since the baseline has no fused
 * multiply-add). The vectors are GCC's vector extension. This file is independent of fastmlp. */
#include <stddef.h>
#include <stdint.h>

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

/* n times CHAINS independent multiply-adds of vectors; the result is returned so that they are not optimised away. */
#define FMA_LOOP(TYPE, REAL, BYTES)                                                                \
    TARGET_##BYTES double fma_##TYPE##_##BYTES(size_t n) {                                         \
        typedef REAL vector __attribute__((vector_size(BYTES)));                                   \
        vector sums[CHAINS], a = (vector){0} + (REAL)0.5, b = (vector){0} + (REAL)0.25;            \
        double total = 0;                                                                          \
        _Pragma("GCC unroll 16") for (int c = 0; c < CHAINS; c++) sums[c] = (vector){0} + (REAL)c; \
        for (size_t i = 0; i < n; i++)                                                             \
            _Pragma("GCC unroll 16") for (int c = 0; c < CHAINS; c++) sums[c] = sums[c] * a + b;   \
        _Pragma("GCC unroll 16") for (int c = 0; c < CHAINS; c++) total += (double)sums[c][0];     \
        return total;                                                                              \
    }

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

FMA_LOOP(float32, float, 16)
FMA_LOOP(float64, double, 16)
PASSES(16)
#if defined(__x86_64__)
FMA_LOOP(float32, float, 32)
FMA_LOOP(float64, double, 32)
PASSES(32)
FMA_LOOP(float32, float, 64)
FMA_LOOP(float64, double, 64)
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
