/* The kernels for the baseline: 16-byte vectors where the compiler has them (SSE2, NEON), else plain C, float64. */
#define FML_ISA base
#define FML_REAL_BITS 64
#define FML_VECTOR_BYTES 16
#define TILE_ROWS 3
#define TILE_PANELS 1
#include "kernels.inc"
