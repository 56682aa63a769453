/* The checksum SHA-256 (NIST, FIPS 180-4), for the checks of model files. */
#ifndef FML_SHA256_H
#define FML_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t state[8];
    uint64_t n_bytes;
    unsigned char block[64];
} fml_sha256;

enum { FML_SHA256_DIGITS = 64 };

void fml_sha256_begin(fml_sha256 *sha);
void fml_sha256_add(fml_sha256 *sha, const void *data, size_t n);
/* Write the checksum as 64 hexadecimal digits and a 0. */
void fml_sha256_end(fml_sha256 *sha, char digits[FML_SHA256_DIGITS + 1]);

#endif
