/* The kernels for AVX-512 (compiled with -mavx512f -mavx512dq -mavx512vl -mfma), float32. */
#define FML_ISA avx512
#define FML_REAL_BITS 32
#define FML_VECTOR_BYTES 64
#define TILE_ROWS 8
#define TILE_PANELS 2
#include "kernels.inc"
