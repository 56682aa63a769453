/* The kernels for NEON on 64-bit ARM: the baseline's vectors with fused multiply-add, and tiles for 32 registers,
 * float32. */
#define FML_ISA neon
#define FML_NEON
#define FML_REAL_BITS 32
#define FML_VECTOR_BYTES 16
#define TILE_ROWS 6
#define TILE_PANELS 1
#include "kernels.inc"
