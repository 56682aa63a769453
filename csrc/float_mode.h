/* The floating-point mode of a thread. The core flushes denormal (subnormal) numbers: on entry it sets a mode in which
 * denormal results become 0 and denormal operands count as 0, as arithmetic with them is slow, and on exit it restores
 * the caller's mode. A thread of the pool takes over the mode of the caller it works for. */
#ifndef FASTMLP_FLOAT_MODE_H
#define FASTMLP_FLOAT_MODE_H

#include <stdint.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
typedef unsigned float_mode;
enum { FLUSH = 0x8040 };   /* MXCSR: flush to zero (bit 15), denormals are zero (bit 6) */
enum { EXCEPTIONS = 0xd }; /* MXCSR: flags of invalid operation, division by zero, overflow */
static inline float_mode current_mode(void) { return _mm_getcsr(); }
static inline void restore_mode(float_mode before) { _mm_setcsr(before); }
#elif defined(__aarch64__) && defined(__GNUC__)
typedef uint64_t float_mode;
enum { FLUSH = 1 << 24, EXCEPTIONS = 0 }; /* FPCR: flush to zero; exceptions are not read */
static inline float_mode current_mode(void) {
    float_mode mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}
static inline void restore_mode(float_mode before) { __asm__ volatile("msr fpcr, %0" : : "r"(before)); }
#else
typedef int float_mode;
enum { FLUSH = 0, EXCEPTIONS = 0 };
static inline float_mode current_mode(void) { return 0; }
static inline void restore_mode(float_mode before) { (void)before; }
#endif

/* Flush denormals and clear the exception flags; returns the mode before. */
static inline float_mode flush_denormals(void) {
    float_mode before = current_mode();
    restore_mode((before | FLUSH) & ~(float_mode)EXCEPTIONS);
    return before;
}

/* Whether an operation of this thread has raised a floating-point exception since flush_denormals: overflow, division
 * by zero, or invalid operation. If not, all results of finite operands are finite and need not be checked. If so, a
 * result may be NaN or infinite. On processors whose flags are not read, the answer is always yes. */
#if defined(__SSE2__)
static inline int exceptions_raised(void) { return (_mm_getcsr() & EXCEPTIONS) != 0; }
#else
static inline int exceptions_raised(void) { return 1; }
#endif

/* Stop flushing denormals, for a call of code outside the core; returns the mode before. */
static inline float_mode keep_denormals(void) {
    float_mode before = current_mode();
    restore_mode(before & ~(float_mode)FLUSH);
    return before;
}

#endif
