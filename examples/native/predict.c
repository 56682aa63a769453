/* Predicts rows of numbers with a model file, without Python.
 *
 *     make -C csrc && cc -O2 examples/native/predict.c -Icsrc/include build/native/libfastmlp.a -pthread -lm -o predict
 *     echo "0.1 0.2 0.3" | ./predict model.safetensors
 *
 * Reads rows of n_inputs numbers from standard input, and writes a line with the outputs of each. Exit status: 1 if the
 * model is refused, 2 if a number cannot be read. */
#include <fastmlp.h>

#include <stdio.h>
#include <stdlib.h>

/* Read a whole file; *size becomes its size. NULL if that fails. */
static char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    char *bytes = NULL;
    size_t capacity = 0, n = 1;
    for (*size = 0; file != NULL && n > 0; *size += n) {
        if (*size == capacity) {
            capacity = 2 * capacity + 4096;
            char *larger = realloc(bytes, capacity);
            if (larger == NULL) break;
            bytes = larger;
        }
        n = fread(bytes + *size, 1, capacity - *size, file);
    }
    if (file != NULL) fclose(file);
    return bytes;
}

static void put(const fastmlp_model *model, void *numbers, size_t i, double value) {
    if (fastmlp_model_dtype(model) == FASTMLP_FLOAT32)
        ((float *)numbers)[i] = (float)value;
    else
        ((double *)numbers)[i] = value;
}

static double get(const fastmlp_model *model, const void *numbers, size_t i) {
    return fastmlp_model_dtype(model) == FASTMLP_FLOAT32 ? ((const float *)numbers)[i] : ((const double *)numbers)[i];
}

/* Predict all rows of standard input; returns the exit status. */
static int predict_rows(const fastmlp_model *model) {
    size_t n_inputs = fastmlp_n_inputs(model), n_outputs = fastmlp_n_outputs(model), i = 0;
    void *x = malloc(n_inputs * sizeof(double)), *y = malloc(n_outputs * sizeof(double));
    void *workspace = malloc(fastmlp_workspace_size(model, 1));
    double number;
    int n_read = 1;
    while (x != NULL && y != NULL && workspace != NULL && (n_read = scanf("%lf", &number)) == 1) {
        put(model, x, i++, number);
        if (i < n_inputs) continue;
        fastmlp_predict_row(model, x, y, workspace);
        for (size_t k = 0; k < n_outputs; k++) printf("%.17g%c", get(model, y, k), k + 1 < n_outputs ? ' ' : '\n');
        i = 0;
    }
    free(x);
    free(y);
    free(workspace);
    return n_read == EOF && i == 0 ? 0 : 2;
}

int main(int n_arguments, char **arguments) {
    size_t size = 0;
    if (n_arguments != 2) {
        fprintf(stderr, "usage: %s MODEL < rows\n", arguments[0]);
        return 2;
    }
    char *file = read_file(arguments[1], &size);
    fastmlp_error error;
    fastmlp_model *model = fastmlp_load(file, size, &error);
    free(file);
    if (model == NULL) {
        fprintf(stderr, "%s: %s\n", arguments[1], error.text);
        return 1;
    }
    int status = predict_rows(model);
    fastmlp_free(model);
    return status;
}
