/* The kernels at 64-byte vectors on a processor that has none: the generic operations of vector.inc, for tests alone
 * (compiled with -mavx2 -mfma), float64. */
#define FML_ISA wide
#define FML_REAL_BITS 64
#define FML_VECTOR_BYTES 64
#define TILE_ROWS 8
#define TILE_PANELS 2
#include "kernels/kernels.inc"
