/* The kernels for AVX2 with FMA (compiled with -mavx2 -mfma), float32. */
#define FML_ISA avx2
#define FML_REAL_BITS 32
#define FML_VECTOR_BYTES 32
#define TILE_ROWS 6
#define TILE_PANELS 1
#include "kernels.inc"
