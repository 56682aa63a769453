/* The processor's treatment of denormal numbers, set on entry to the core and restored on exit: results below the
 * smallest normal number become 0 and denormal operands count as 0. The mode belongs to the thread; the pool's threads
 * take over their caller's. */
#ifndef FASTMLP_FLOAT_MODE_H
#define FASTMLP_FLOAT_MODE_H

#include <stdint.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
typedef unsigned float_mode;
enum { FLUSH = 0x8040, EXCEPTIONS = 0xd }; /* flush to zero, denormals are zero; see exceptions_raised */
static inline float_mode current_mode(void) { return _mm_getcsr(); }
static inline void restore_mode(float_mode before) { _mm_setcsr(before); }
#elif defined(__aarch64__) && defined(__GNUC__)
typedef uint64_t float_mode;
enum { FLUSH = 1 << 24, EXCEPTIONS = 0 };
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

static inline float_mode flush_denormals(void) {
    float_mode before = current_mode();
    restore_mode((before | FLUSH) & ~(float_mode)EXCEPTIONS);
    return before;
}

/* Whether an operation of this thread has raised a floating-point exception since flush_denormals: overflow, division
 * by zero, or an invalid operation. If none has, all that came of finite numbers is finite, and nobody has to look at
 * it; one may be about something that nobody kept. Where the flags are not read, the answer is yes. */
#if defined(__SSE2__)
static inline int exceptions_raised(void) { return (_mm_getcsr() & EXCEPTIONS) != 0; }
#else
static inline int exceptions_raised(void) { return 1; }
#endif

/* For the time of a call that leaves the core. */
static inline float_mode keep_denormals(void) {
    float_mode before = current_mode();
    restore_mode(before & ~(float_mode)FLUSH);
    return before;
}

#endif
