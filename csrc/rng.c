/* The random generator: SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
 *
 * Its state is one 64-bit number for each network. fastmlp.reference has the same generator; docs/design.md states in
 * which order its numbers are used. */
#include "core.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

uint64_t fml_random_next(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

uint64_t fml_random_at(uint64_t seed, uint64_t n) {
    uint64_t state = seed + n * UINT64_C(0x9E3779B97F4A7C15);
    return fml_random_next(&state);
}

double fml_random_uniform(uint64_t *state) { return (double)(fml_random_next(state) >> 11) * 0x1p-53; }

/* The Box-Muller transform; only the number with the cosine is used. */
double fml_random_normal(uint64_t *state) {
    double u1 = fml_random_uniform(state);
    double u2 = fml_random_uniform(state);
    return sqrt(-2.0 * log(1.0 - u1)) * cos(2.0 * PI * u2);
}

/* The upper 64 bits of next() * n. */
uint64_t fml_random_below(uint64_t *state, uint64_t n) {
    uint64_t u = fml_random_next(state);
#ifdef __SIZEOF_INT128__
    return (uint64_t)(((unsigned __int128)u * n) >> 64);
#else
    uint64_t u_low = u & 0xFFFFFFFF, u_high = u >> 32, n_low = n & 0xFFFFFFFF, n_high = n >> 32;
    uint64_t middle = u_high * n_low + ((u_low * n_low) >> 32);
    uint64_t cross = u_low * n_high + (middle & 0xFFFFFFFF);
    return u_high * n_high + (middle >> 32) + (cross >> 32);
#endif
}

void fml_random_order(uint64_t *state, uint32_t *order, size_t n) {
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    for (size_t i = n; i-- > 1;) {
        size_t j = (size_t)fml_random_below(state, (uint64_t)i + 1);
        uint32_t swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
    }
}
