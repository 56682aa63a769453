/* The processor's treatment of denormal numbers, set on entry to the core and restored on exit: results below the
 * smallest normal number become 0 and denormal operands count as 0. The mode belongs to the thread; the pool's threads
 * take over their caller's. */
#ifndef FASTMLP_FLOAT_MODE_H
#define FASTMLP_FLOAT_MODE_H

#include <stdint.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
typedef unsigned float_mode;
enum { FLUSH = 0x8040, NOTES = 0xd }; /* flush to zero, denormals are zero; see noted */
static inline float_mode current_mode(void) { return _mm_getcsr(); }
static inline void restore_mode(float_mode before) { _mm_setcsr(before); }
#elif defined(__aarch64__) && defined(__GNUC__)
typedef uint64_t float_mode;
enum { FLUSH = 1 << 24, NOTES = 0 };
static inline float_mode current_mode(void) {
    float_mode mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}
static inline void restore_mode(float_mode before) { __asm__ volatile("msr fpcr, %0" : : "r"(before)); }
#else
typedef int float_mode;
enum { FLUSH = 0, NOTES = 0 };
static inline float_mode current_mode(void) { return 0; }
static inline void restore_mode(float_mode before) { (void)before; }
#endif

static inline float_mode flush_denormals(void) {
    float_mode before = current_mode();
    restore_mode((before | FLUSH) & ~(float_mode)NOTES);
    return before;
}

/* The processor notes in this thread that an operation had no finite result: overflow, division by zero, none at all.
 * Without a note since flush_denormals all that came of finite numbers is finite, so that nobody has to look at it; a
 * note may be about something that nobody kept. */
#if defined(__SSE2__)
static inline int noted(void) { return (_mm_getcsr() & NOTES) != 0; }
#else
static inline int noted(void) { return 1; }
#endif

/* For the time of a call that leaves the core. */
static inline float_mode keep_denormals(void) {
    float_mode before = current_mode();
    restore_mode(before & ~(float_mode)FLUSH);
    return before;
}

#endif
