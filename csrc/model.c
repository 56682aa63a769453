/* The C API: predictions of a model, and the memory that they work in. model_file.c reads the file. */
#define _POSIX_C_SOURCE 200809L /* sched_yield, getpid */
#include "model.h"
#include "pass_common.h"

#include <stdalign.h>

#ifndef _WIN32
#include <sched.h>
#include <unistd.h>
#endif

/* -- engines ----------------------------------------------------------------------------------------------------- */

const fml_engine *fml_engine_of_weights(const fml_kernels *kernels, const char *weights) {
    static const char *const NARROW[][2] = {{"bfloat16", "native-bfloat16"}, {"int8", "native-int8"}};
    if (strcmp(weights, kernels->dtype == FML_F32 ? "float32" : "float64") == 0) return kernels->native;
    for (size_t i = 0; i < sizeof NARROW / sizeof *NARROW; i++)
        if (strcmp(weights, NARROW[i][0]) == 0) return fml_find_engine(kernels, NARROW[i][1]);
    return NULL;
}

/* -- predictions ------------------------------------------------------------------------------------------------- */

/* The network's inputs of a row, scaled into the beginning of the workspace; fml_forward_row gets the rest of it. */
static size_t scaled_bytes(const fml_network *net) {
    return padded(net->layers[0].n_inputs * net->kernels->real_size, FML_ALIGNMENT);
}

static void predict_scaled_row(const fastmlp_model *model, const void *x, void *y, char *workspace) {
    const fml_network *net = &model->net;
    float_mode mode = flush_denormals();
    if (model->scaling.inputs.offset != NULL) {
        size_t I = net->layers[0].n_inputs;
        fml_matrix row = {.elements = x, .n_columns = I, .scaling = model->scaling.inputs};
        net->kernels->gather_converted(&row, NULL, 1, workspace, I);
        x = workspace;
    }
    fml_forward_row(net, model->block, x, y, workspace + scaled_bytes(net));
    if (model->scaling.targets.offset != NULL)
        net->kernels->unscale(y, 1, last_layer(net)->n_outputs, &model->scaling.targets);
    restore_mode(mode);
}

static void predict_row(const fastmlp_model *model, const void *x, void *y, void *workspace) {
    if (model->is_scaled)
        predict_scaled_row(model, x, y, workspace);
    else
        fml_forward_row(&model->net, model->block, x, y, workspace);
}

static void *aligned(void *workspace) { return (void *)padded((uintptr_t)workspace, FML_ALIGNMENT); }

size_t fastmlp_workspace_size(const fastmlp_model *model, size_t n_rows) {
    return size_max(model->row_workspace, fml_forward_workspace(&model->net, n_rows)) + FML_ALIGNMENT;
}

void fastmlp_predict_row(const fastmlp_model *model, const void *x, void *y, void *workspace) {
    predict_row(model, x, y, aligned(workspace));
}

void fastmlp_predict(const fastmlp_model *model, const void *x, size_t n_rows, void *y, void *workspace) {
    fml_data data = {.x = x, .n_rows = n_rows, .scaling = &model->scaling};
    if (n_rows > 0) fml_forward(&model->net, model->block, &data, NULL, NULL, y, aligned(workspace));
}

/* -- calls without a workspace ----------------------------------------------------------------------------------- */

enum { STACK_BYTES = 1 << 14, MAX_PIECES_BYTES = 1 << 28, MIN_PIECES = 4 };

#ifdef _WIN32
static long process_number(void) { return 1; } /* there are no forks */
static void yield(void) {}
#else
static long process_number(void) { return (long)getpid(); }
static void yield(void) { sched_yield(); }
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
static long read_mark(fml_mark *mark) { return *mark; }
static int change_mark(fml_mark *mark, long from, long to) {
    return _InterlockedCompareExchange(mark, to, from) == from;
}
#else
static long read_mark(fml_mark *mark) { return atomic_load_explicit(mark, memory_order_relaxed); }
static int change_mark(fml_mark *mark, long from, long to) { return atomic_compare_exchange_strong(mark, &from, to); }
#endif

/* Claim a piece. One that a thread of another process has marked was being used when this process was forked: no thread
 * here uses it. */
static size_t claim(fastmlp_model *model, long process) {
    for (size_t i = 0;; i = (i + 1) % model->n_pieces) {
        long found = read_mark(&model->marks[i]);
        if (found != process && change_mark(&model->marks[i], found, process)) return i;
        if (i + 1 == model->n_pieces) yield();
    }
}

static void call_in_piece(fastmlp_model *model, const void *x, void *y) {
    long process = process_number();
    size_t i = claim(model, process);
    predict_row(model, x, y, model->pieces + i * model->row_workspace);
    change_mark(&model->marks[i], process, 0);
}

static void call_on_stack(const fastmlp_model *model, const void *x, void *y) {
    alignas(FML_ALIGNMENT) char workspace[STACK_BYTES];
    predict_row(model, x, y, workspace);
}

void fastmlp_call(const void *x, void *y, void *context) {
    fastmlp_model *model = context;
    if (model->pieces == NULL)
        call_on_stack(model, x, y);
    else
        call_in_piece(model, x, y);
}

/* -- a model's life ---------------------------------------------------------------------------------------------- */

int fml_model_prepare(fastmlp_model *model) {
    model->net.n_threads = 1;
    model->is_scaled = model->scaling.inputs.offset != NULL || model->scaling.targets.offset != NULL;
    model->row_workspace =
        padded((model->is_scaled ? scaled_bytes(&model->net) : 0) + fml_row_workspace(&model->net), FML_ALIGNMENT);
    if (model->row_workspace <= STACK_BYTES) return 1;
    size_t n = MAX_PIECES_BYTES / model->row_workspace;
    model->n_pieces = size_min(size_max(n, MIN_PIECES), FML_MAX_PIECES);
    if (model->row_workspace > SIZE_MAX / FML_MAX_PIECES) return 0;
    model->pieces = fml_allocate(model->n_pieces * model->row_workspace);
    return model->pieces != NULL;
}

void fml_model_release(fastmlp_model *model) {
    fml_free(model->pieces);
    if (model->is_borrowed) return;
    fml_free(model->net.layers);
    fml_free((void *)(uintptr_t)model->block);
    fml_free(model->scales);
}

const char *fastmlp_version(void) { return FASTMLP_VERSION; }

fastmlp_model *fastmlp_load(const void *file, size_t size, fastmlp_error *error) {
    fastmlp_error ignored;
    if (error == NULL) error = &ignored;
    *error = (fastmlp_error){.status = FASTMLP_OK};
    fastmlp_model *model = fml_allocate(sizeof *model);
    if (model != NULL && fml_model_read(model, file, size, error) && fml_model_prepare(model)) return model;
    if (error->status == FASTMLP_OK)
        *error = (fastmlp_error){FASTMLP_NOT_ENOUGH_MEMORY, "model: there is not enough memory for it"};
    fastmlp_free(model);
    return NULL;
}

void fastmlp_free(fastmlp_model *model) {
    if (model == NULL) return;
    fml_model_release(model);
    fml_free(model);
}

size_t fastmlp_n_inputs(const fastmlp_model *model) { return model->net.layers[0].n_inputs; }
size_t fastmlp_n_outputs(const fastmlp_model *model) { return last_layer(&model->net)->n_outputs; }
fastmlp_dtype fastmlp_model_dtype(const fastmlp_model *model) {
    return model->net.kernels->dtype == FML_F32 ? FASTMLP_FLOAT32 : FASTMLP_FLOAT64;
}
const char *fastmlp_isa(const fastmlp_model *model) { return model->net.kernels->isa; }
