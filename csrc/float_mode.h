/* The processor's treatment of denormal numbers, set on entry to the core and restored on exit: results below the
 * smallest normal number become 0 and denormal operands count as 0. The mode belongs to the thread. */
#ifndef FASTMLP_FLOAT_MODE_H
#define FASTMLP_FLOAT_MODE_H

#include <stdint.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
typedef unsigned float_mode;
static inline float_mode flush_denormals(void) {
    float_mode before = _mm_getcsr();
    _mm_setcsr(before | 0x8040); /* flush to zero, denormals are zero */
    return before;
}
static inline void restore_mode(float_mode before) { _mm_setcsr(before); }
#elif defined(__aarch64__) && defined(__GNUC__)
typedef uint64_t float_mode;
static inline float_mode flush_denormals(void) {
    float_mode before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | (UINT64_C(1) << 24)));
    return before;
}
static inline void restore_mode(float_mode before) { __asm__ volatile("msr fpcr, %0" : : "r"(before)); }
#else
typedef int float_mode;
static inline float_mode flush_denormals(void) { return 0; }
static inline void restore_mode(float_mode before) { (void)before; }
#endif

#endif
