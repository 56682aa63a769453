/* The fuzz target of fastmlp_load: any bytes are refused with a text, or become a model that predicts.
 *
 * With clang's libFuzzer and AddressSanitizer, see tests/core/fuzz.py. Checksums are not compared in this build, as a
 * fuzzer would not get past them. A mutation changes the JSON of the architecture as text, within the header's string,
 * or sets the length of the header to where the tensors begin, as random bytes would end at the container. */
#include "include/fastmlp.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROW = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static void expect(int ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "fuzz_model: %s\n", what);
    abort();
}

static void predict(fastmlp_model *model) {
    size_t I = fastmlp_n_inputs(model), O = fastmlp_n_outputs(model);
    size_t real = fastmlp_model_dtype(model) == FASTMLP_FLOAT32 ? sizeof(float) : sizeof(double);
    expect(I > 0 && O > 0, "a model without inputs or outputs");
    if (I > MAX_ROW || O > MAX_ROW) return;
    void *x = calloc(2 * I, real), *y = malloc(2 * O * real), *alone = malloc(O * real);
    void *workspace = malloc(fastmlp_workspace_size(model, 2));
    expect(x != NULL && y != NULL && alone != NULL && workspace != NULL, "no memory");
    fastmlp_predict(model, x, 2, y, workspace);
    fastmlp_predict_row(model, x, alone, workspace);
    expect(memcmp(y, alone, O * real) == 0, "a row has other bits alone");
    fastmlp_call((char *)x + I * real, alone, model);
    expect(memcmp((char *)y + O * real, alone, O * real) == 0, "a call has other bits");
    free(x);
    free(y);
    free(alone);
    free(workspace);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fastmlp_error error;
    memset(&error, 0xff, sizeof error);
    fastmlp_model *model = fastmlp_load(data, size, &error);
    size_t length = strnlen(error.text, sizeof error.text);
    expect(length < sizeof error.text, "an error without an end");
    expect((model != NULL) == (error.status == FASTMLP_OK), "a status without its model");
    expect(model != NULL || length > 0, "an error without a text");
    if (model != NULL) predict(model);
    fastmlp_free(model);
    return 0;
}

/* Mutate the bytes from `begin` to `end` in place of the whole input; what follows them moves. */
static size_t mutate_part(uint8_t *data, size_t size, size_t max_size, size_t begin, size_t end) {
    size_t n = end - begin, after = size - end, room = max_size - size + n;
    uint8_t *part = malloc(room + 1), *rest = malloc(after + 1);
    expect(part != NULL && rest != NULL, "no memory");
    memcpy(part, data + begin, n);
    memcpy(rest, data + end, after);
    n = LLVMFuzzerMutate(part, n, room);
    memcpy(data + begin, part, n);
    memcpy(data + begin + n, rest, after);
    free(part);
    free(rest);
    return begin + n + after;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    uint64_t header = 0;
    if (size < 9 || seed % 4 == 0) return LLVMFuzzerMutate(data, size, max_size);
    for (int i = 0; i < 8; i++) header |= (uint64_t)data[i] << 8 * i;
    if (header == 0 || header > size - 8) return LLVMFuzzerMutate(data, size, max_size);
    size_t begin = 8 + seed / 4 % (size_t)header, end = 8 + (size_t)header;
    if (seed % 4 > 1 && end - begin > 24) end = begin + 24; /* a few characters: a number, a name, a bracket */
    size_t changed = mutate_part(data, size, max_size, begin, end);
    header += changed - size; /* which may be negative, modulo 2^64 */
    for (int i = 0; i < 8; i++) data[i] = (uint8_t)(header >> 8 * i);
    return changed;
}
