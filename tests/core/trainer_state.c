/* The state of a trainer: after a rollback, training continues as if the steps had not been taken; after a state is
 * moved to another trainer, as by a checkpoint, it continues with the same bits. Invalid numbers are refused. For
 * momentum, moments, an average of parameters, and L-BFGS. */
#include "method.h"
#include "naive.h"

#include <math.h>
#include <string.h>

enum { ROWS = 50 };

typedef struct {
    fml_trainer trainer;
    fml_published_state published;
    fml_regularization terms;
    void *block, *workspace; /* the published parameters; memory for steps */
    fml_data data;
} training;

static void begin(run *r, training *t, model *m, const char *optimizer, const double *h, int averages) {
    memset(t, 0, sizeof *t);
    t->data = make_data(r, m, ROWS, VALUES, 2);
    t->trainer.net = &m->net;
    t->trainer.optimizer = find_optimizer(r->kernels, optimizer);
    memcpy(t->trainer.hyper_parameters, h, FML_MAX_HYPER_PARAMETERS * sizeof *h);
    check(r, fml_trainer_allocate(&t->trainer, &t->published, m->block), "no memory for a trainer");
    t->terms = (fml_regularization){.clip_value = INFINITY, .clip_norm = INFINITY, .max_norm = INFINITY, .decay = 0.75};
    if (averages)
        check(r, fml_trainer_allocate_average(&t->trainer, &t->published, &t->terms), "no memory for an average");
    t->block = take_aligned(r, m->net.n_packed * r->kernels->real_size);
    t->workspace = take_aligned(r, fml_training_workspace(&t->trainer, ROWS));
    fml_trainer_publish(&t->trainer, &t->published, t->block);
}

static void take_steps(run *r, training *t, int n) {
    for (int i = 0; i < n; i++) {
        double loss;
        fml_status status = fml_train_step(&t->trainer, &t->data, NULL, ROWS, 0, &loss, NULL, t->workspace);
        check(r, status == FML_OK, "a step has status %d", (int)status);
    }
}

/* Check that two trainers have the same parameters, visible parameters and number of steps. */
static void check_same(run *r, const training *a, const training *b, const char *what) {
    size_t n = a->trainer.net->n_packed;
    check_same_reals(r, a->trainer.block, b->trainer.block, n, "parameters %s", what);
    check_same_reals(r, fml_trainer_visible(&a->trainer), fml_trainer_visible(&b->trainer), n, "visible %s", what);
    check(r, a->trainer.n_steps == b->trainer.n_steps, "steps %s", what);
}

/* Copy the state of one trainer to another, as a checkpoint does; check that invalid numbers are refused. */
static void move_state(run *r, const training *from, training *to) {
    size_t size = from->trainer.net->n_packed * r->kernels->real_size,
           n_vectors = fml_trainer_n_vectors(&from->trainer);
    size_t n_numbers = fml_trainer_n_numbers(&from->trainer);
    double *numbers = take(r, n_numbers * sizeof *numbers);
    fml_trainer_export_numbers(&from->trainer, numbers);
    check(r, fml_trainer_import_numbers(&to->trainer, n_vectors, n_numbers, numbers),
          "the numbers of a state are refused");
    for (size_t k = 0; k < n_vectors; k++)
        memcpy(fml_trainer_vector(&to->trainer, k), fml_trainer_vector(&from->trainer, k), size);
    memcpy(fml_trainer_visible(&to->trainer), fml_trainer_visible(&from->trainer), size);
    to->trainer.n_steps = from->trainer.n_steps;
    numbers[0] = NAN;
    check(r, !fml_trainer_import_numbers(&to->trainer, n_vectors, n_numbers, numbers), "a number that is NaN is taken");
    numbers[0] = 1;
    check(r, !fml_trainer_import_numbers(&to->trainer, n_vectors + 9, n_numbers, numbers), "more vectors than fit");
    check(r, !fml_trainer_import_numbers(&to->trainer, n_vectors, n_numbers - 1, numbers), "a number less");
}

void check_trainer_state(run *r) {
    static const struct {
        const char *optimizer;
        double h[FML_MAX_HYPER_PARAMETERS];
        int averages;
    } CASES[] = {
        {"sgd", {0.05, 0.9}, 0},
        {"adam", {0.05, 0.9, 0.999, 1e-8}, 0},
        {"nadam", {0.05, 0.9, 0.999, 1e-8}, 1}, /* and an average of the parameters */
        {"lbfgs", {3, 0, 0, 20}, 0},
    };
    static const design DESIGN = {{9, 17, 3}, "tanh", "identity", "mse"};
    for (size_t k = 0; k < LENGTH_OF(CASES); k++) {
        training kept, taken_back, moved;
        model *m = make_model(r, &DESIGN, 1, 1);
        training *const all[] = {&kept, &taken_back, &moved};
        for (size_t i = 0; i < 3; i++) begin(r, all[i], m, CASES[k].optimizer, CASES[k].h, CASES[k].averages);
        take_steps(r, &kept, 3);
        fml_trainer_data_changed(&kept.trainer);
        take_steps(r, &taken_back, 3);
        fml_trainer_publish(&taken_back.trainer, &taken_back.published, taken_back.block);
        if (taken_back.trainer.optimizer->method == NULL) take_steps(r, &taken_back, 2);
        fml_trainer_roll_back(&taken_back.trainer, &taken_back.published, taken_back.block);
        check_same(r, &kept, &taken_back, "after steps that are taken back");
        move_state(r, &kept, &moved);
        check_same(r, &kept, &moved, "of a state that is moved");
        for (size_t i = 0; i < 3; i++) take_steps(r, all[i], 3);
        check_same(r, &kept, &taken_back, "that go on after a step back");
        check_same(r, &kept, &moved, "that go on from a state that is moved");
        for (size_t i = 0; i < 3; i++) fml_trainer_free(&all[i]->trainer, &all[i]->published);
        release(r, 0);
    }
}
