/* The state of a trainer: its memory, publishing and rolling back, and what a checkpoint stores.
 *
 * Publishing copies the parameters to a block that readers hold, see docs/design.md, and the rest of the state to an
 * fml_published_state; after an error, the trainer is rolled back to both. If an average of the parameters is kept,
 * readers see the average, and the parameters themselves are part of the published state. The state of a whole-batch
 * method is neither published nor rolled back: the method is notified that the parameters have changed. */
#include "method.h"

#include <string.h>

static size_t block_bytes(const fml_network *net) { return net->n_packed * net->kernels->real_size; }
static size_t states_bytes(const fml_trainer *trainer) {
    return block_bytes(trainer->net) * (size_t)trainer->optimizer->n_states;
}

/* -- memory ------------------------------------------------------------------------------------------------------ */

/* Allocate the memory that steps work in; return whether there was enough. */
static int allocate_working(fml_trainer *trainer) {
    size_t size = block_bytes(trainer->net);
    trainer->block = fml_allocate(size);
    trainer->gradient = fml_allocate(size);
    trainer->states[0] = fml_allocate(states_bytes(trainer));
    if (trainer->block == NULL || trainer->gradient == NULL || trainer->states[0] == NULL) return 0;
    for (int k = 1; k < trainer->optimizer->n_states; k++)
        trainer->states[k] = (char *)trainer->states[0] + (size_t)k * size;
    return 1;
}

static void free_working(fml_trainer *trainer) {
    fml_free(trainer->states[0]);
    fml_free(trainer->gradient);
    fml_free(trainer->block);
    for (int k = 0; k < FML_MAX_STATES; k++) trainer->states[k] = NULL;
    trainer->gradient = trainer->block = NULL;
}

int fml_trainer_allocate(fml_trainer *trainer, fml_published_state *published, const void *parameters) {
    const fml_network *net = trainer->net;
    const fml_method *method = trainer->optimizer->method;
    int has_working = allocate_working(trainer);
    published->states = fml_allocate(states_bytes(trainer));
    if (method != NULL) trainer->method_state = fml_allocate(method->state_size(net, trainer->hyper_parameters));
    if (!has_working || published->states == NULL || (method != NULL && trainer->method_state == NULL)) return 0;
    memcpy(trainer->block, parameters, block_bytes(net));
    if (method != NULL) method->begin(net, trainer->hyper_parameters, trainer->method_state);
    return 1;
}

int fml_trainer_allocate_average(fml_trainer *trainer, fml_published_state *published, fml_regularization *terms) {
    size_t size = block_bytes(trainer->net);
    trainer->regularization = terms;
    terms->average = fml_allocate(size);
    published->unaveraged = fml_allocate(size);
    if (terms->average == NULL || published->unaveraged == NULL) return 0;
    memcpy(terms->average, trainer->block, size);
    memcpy(published->unaveraged, trainer->block, size);
    return 1;
}

void fml_trainer_release(fml_trainer *trainer) {
    int has_average = trainer->regularization != NULL && trainer->regularization->average != NULL;
    if (trainer->optimizer->method == NULL && !has_average) free_working(trainer);
}

int fml_trainer_is_released(const fml_trainer *trainer) { return trainer->block == NULL; }

int fml_trainer_regain(fml_trainer *trainer, const fml_published_state *published, const void *block) {
    if (trainer->block != NULL) return 1;
    if (!allocate_working(trainer)) {
        free_working(trainer);
        return 0;
    }
    fml_trainer_roll_back(trainer, published, block);
    return 1;
}

void fml_trainer_free(fml_trainer *trainer, fml_published_state *published) {
    if (trainer->regularization != NULL) fml_free(trainer->regularization->average);
    fml_free(published->unaveraged);
    fml_free(published->states);
    fml_free(trainer->method_state);
    free_working(trainer);
}

/* -- publishing and rolling back --------------------------------------------------------------------------------- */

static void *average_of(const fml_trainer *trainer) {
    return trainer->regularization == NULL ? NULL : trainer->regularization->average;
}

void *fml_trainer_visible(const fml_trainer *trainer) {
    void *average = average_of(trainer);
    return average == NULL ? trainer->block : average;
}

void fml_trainer_publish(const fml_trainer *trainer, fml_published_state *published, void *block) {
    size_t size = block_bytes(trainer->net);
    memcpy(block, fml_trainer_visible(trainer), size);
    if (published->unaveraged != NULL) memcpy(published->unaveraged, trainer->block, size);
    memcpy(published->states, trainer->states[0], states_bytes(trainer));
    memcpy(published->scalars, trainer->scalars, sizeof published->scalars);
    published->n_steps = trainer->n_steps;
}

void fml_trainer_roll_back(fml_trainer *trainer, const fml_published_state *published, const void *block) {
    size_t size = block_bytes(trainer->net);
    if (trainer->block == NULL) return; /* released: fml_trainer_regain copies the published state */
    memset(trainer->gradient, 0, size); /* its padding, which no pass writes, may have become NaN */
    memcpy(fml_trainer_visible(trainer), block, size);
    if (published->unaveraged != NULL) memcpy(trainer->block, published->unaveraged, size);
    memcpy(trainer->states[0], published->states, states_bytes(trainer));
    memcpy(trainer->scalars, published->scalars, sizeof published->scalars);
    trainer->n_steps = published->n_steps;
    fml_trainer_data_changed(trainer);
}

void fml_trainer_data_changed(fml_trainer *trainer) {
    const fml_method *method = trainer->optimizer->method;
    if (method != NULL) method->data_changed(trainer->method_state);
}

void fml_trainer_abandon(fml_trainer *trainer, const fml_network *net) {
    const fml_method *method = trainer->optimizer->method;
    trainer->net = net;
    trainer->suspect = 0;
    if (method != NULL) method->forget(trainer->method_state);
}

/* -- what a checkpoint stores ------------------------------------------------------------------------------------ */

size_t fml_trainer_n_vectors(const fml_trainer *trainer) {
    const fml_method *method = trainer->optimizer->method;
    if (method != NULL) return method->n_vectors(trainer->method_state);
    return (size_t)trainer->optimizer->n_states + (average_of(trainer) != NULL);
}

void *fml_trainer_vector(const fml_trainer *trainer, size_t k) {
    const fml_method *method = trainer->optimizer->method;
    if (method != NULL) return method->vector(trainer->net, trainer->method_state, k);
    return k < (size_t)trainer->optimizer->n_states ? trainer->states[k] : trainer->block;
}

size_t fml_trainer_n_numbers(const fml_trainer *trainer) {
    const fml_method *method = trainer->optimizer->method;
    return method == NULL ? FML_MAX_SCALARS : method->n_numbers(trainer->method_state);
}

void fml_trainer_export_numbers(const fml_trainer *trainer, double *numbers) {
    const fml_method *method = trainer->optimizer->method;
    if (method != NULL)
        method->export_numbers(trainer->method_state, numbers);
    else
        memcpy(numbers, trainer->scalars, sizeof trainer->scalars);
}

int fml_trainer_import_numbers(fml_trainer *trainer, size_t n_vectors, size_t n_numbers, const double *numbers) {
    const fml_method *method = trainer->optimizer->method;
    if (method != NULL) return method->import_numbers(trainer->method_state, n_vectors, n_numbers, numbers);
    if (n_vectors != fml_trainer_n_vectors(trainer) || n_numbers != FML_MAX_SCALARS) return 0;
    for (size_t i = 0; i < FML_MAX_SCALARS; i++)
        if (!(numbers[i] - numbers[i] == 0)) return 0;
    memcpy(trainer->scalars, numbers, sizeof trainer->scalars);
    return 1;
}
