/* The engines that only predict: how weights are rounded; each layer against sums in double of the weights as they are
 * rounded, for int8 also of the inputs; single rows, batches, splits and threads with the same bits; the variants of an
 * engine with the same bits; rows with numbers that are not finite, huge, tiny, or all equal.
 *
 * The formulas here are those at the heads of kernels/bfloat16.inc and int8.inc, written once more for single numbers.
 * Layers are tested one by one, with what the core gives for the layer before as their inputs: rounding of inputs is
 * not continuous, so bounds cannot go through layers. */
#include "naive.h"

#include <math.h>
#include <string.h>

/* Layers that are narrow, at the edges of panels and tiles, and between them layers that are not. */
static const design NARROW_DESIGNS[] = {
    {{171, 48, 171, 49, 3}, "relu", "identity", "mse"},
    {{483, 17, 483, 18}, NULL, "softmax", "cross_entropy"},
    {{249, 33, 249, 97, 85}, "tanh", "tanh", "mse"},
    {{1, 8193, 2}, "sigmoid", "sigmoid", "mse"},
    {{3, 2731, 16, 130}, "gelu", "identity", "mse"},
    {{127, 65, 127, 66, 125}, "identity", "softmax", "cross_entropy"},
    {{5000, 32, 1}, "relu", "identity", "mse"},
    {{20000, 31}, NULL, "identity", "mse"},
};

static int is_narrow(size_t I, size_t O) { return O > 16 && I * O > 8192; }

static int is_int8(const fml_engine *engine) { return strcmp(engine->name, "native-int8") == 0; }

/* -- rounding of weights ------------------------------------------------------------------------------------------ */

/* The number of 8 significant bits that is nearest to w, the even one on a tie. */
static double nearest_bfloat16(double w) {
    int exponent;
    double fraction = frexp(w, &exponent);
    return ldexp(rint(ldexp(fraction, 8)), exponent - 8);
}

static float int8_scale(const run *r, const void *w, size_t I) {
    float largest = 0;
    for (size_t i = 0; i < I; i++) largest = fmaxf(largest, fabsf((float)get(r, w, i)));
    return largest / 127;
}

/* What weight i of an output (I,) is as a multiple of `unit`. */
static double rounded_weight(const run *r, const fml_engine *engine, const void *w, size_t i, size_t I, double *unit) {
    double value = get(r, w, i);
    *unit = 1;
    if (!is_int8(engine)) return nearest_bfloat16(value);
    float scale = int8_scale(r, w, I);
    *unit = scale;
    return scale > 0 ? (double)rintf((float)value / scale) : 0;
}

/* Make the network of a model use the engine; returns its parameters in the order of P as the engine has rounded them,
 * after a check of each. */
static void *use_engine(run *r, model *m, const fml_engine *engine) {
    size_t n = m->net.n_parameters;
    void *P = take_reals(r, n), *rounded_P = take_reals(r, n);
    for (size_t i = 0; i < n; i++) put(r, P, i, m->P[i].value);
    m->net.engine = engine;
    fml_network_lay_out(&m->net);
    m->block = take_aligned(r, m->net.n_packed * r->kernels->real_size);
    fml_network_pack(&m->net, P, m->block);
    fml_network_unpack(&m->net, m->block, rounded_P);
    size_t at_layer = 0, wrong = 0;
    for (size_t l = 0; l < m->net.n_layers; l++) {
        size_t I = m->layers[l].n_inputs, O = m->layers[l].n_outputs;
        for (size_t k = 0; k < (I + 1) * O; k++) {
            double expected = get(r, P, at_layer + k), unit;
            const void *w = at(r, P, at_layer + k / I * I);
            if (k < I * O && is_narrow(I, O)) {
                expected = rounded_weight(r, engine, w, k % I, I, &unit);
                expected = rounded(r, expected * unit);
            }
            wrong += get(r, rounded_P, at_layer + k) != expected;
        }
        at_layer += (I + 1) * O;
    }
    check(r, wrong == 0, "%s, %s: %zu weights are rounded wrongly", m->name, engine->name, wrong);
    return rounded_P;
}

/* -- layers ------------------------------------------------------------------------------------------------------- */

/* z of an output, for weights w (I,) as the engine has rounded them. */
static bounded float_sum(const run *r, const void *w, const void *x, size_t I, double bias) {
    bounded sum = {bias, fabs(bias)};
    for (size_t i = 0; i < I; i++) {
        double term = get(r, w, i) * get(r, x, i);
        sum.value += term;
        sum.error += fabs(term);
    }
    sum.error *= (double)(I + 2) * r->epsilon;
    return sum;
}

/* z of an output by the integer formula; w (I,) before rounding. */
static bounded int8_sum(const run *r, const void *w, const void *x, size_t I, double bias) {
    float low = 0, high = 0, scale = int8_scale(r, w, I);
    for (size_t i = 0; i < I; i++) {
        low = fminf(low, (float)get(r, x, i));
        high = fmaxf(high, (float)get(r, x, i));
    }
    double range = (double)high - (double)low;
    if (range < 1e-36 || scale == 0) return (bounded){bias, 0};
    float unit = (float)(range / 127), inverse = (float)(127 / range), zero = rintf(-low * inverse);
    int64_t sum = 0;
    for (size_t i = 0; i < I; i++) {
        float p = fmaxf(fminf(rintf((float)get(r, x, i) * inverse) + zero, 127), 0);
        sum += (int64_t)(p - zero) * (int64_t)rintf((float)get(r, w, i) / scale);
    }
    float product = unit * scale;
    double term = (double)sum * (double)product;
    return (bounded){term + bias, r->epsilon * (2 * fabs(term) + fabs(term + bias))};
}

/* Check z of layer l for rows of x, and y of the z that was found. */
static void check_layer(run *r, const model *m, size_t l, const void *x, const void *z, const void *y, size_t rows,
                        const void *rounded_P) {
    size_t I = m->layers[l].n_inputs, O = m->layers[l].n_outputs, before = 0, n_kept = r->n_taken;
    for (size_t k = 0; k < l; k++) before += (m->layers[k].n_inputs + 1) * m->layers[k].n_outputs;
    void *w = take_reals(r, I * O), *expected_y = take_reals(r, rows * O);
    int by_integers = is_int8(m->net.engine) && is_narrow(I, O);
    for (size_t i = 0; i < I * O; i++)
        put(r, w, i, by_integers ? m->P[before + i].value : get(r, rounded_P, before + i));
    bounded *expected = take(r, rows * O * sizeof *expected);
    for (size_t i = 0; i < rows * O; i++) {
        double bias = m->P[before + I * O + i % O].value;
        const void *row = at(r, x, i / O * I), *weights = at(r, w, i % O * I);
        expected[i] = by_integers ? int8_sum(r, weights, row, I, bias) : float_sum(r, weights, row, I, bias);
    }
    check_within(r, z, expected, rows * O, "%s, %s: z of layer %zu", m->name, m->net.engine->name, l);
    m->layers[l].activation->forward(z, expected_y, rows, O, m->layers[l].hyper_parameters);
    check_same_reals(r, y, expected_y, rows * O, "%s, %s: y of layer %zu", m->name, m->net.engine->name, l);
    release(r, n_kept);
}

static void check_layers(run *r, const model *m, const void *x, size_t rows, const void *rounded_P) {
    void *z[MAX_LAYERS], *y[MAX_LAYERS], *workspace = take_aligned(r, fml_forward_workspace(&m->net, rows));
    fml_data data = {.x = x, .n_rows = rows};
    for (size_t l = 0; l < m->net.n_layers; l++) {
        z[l] = take_reals(r, rows * m->layers[l].n_outputs);
        y[l] = take_reals(r, rows * m->layers[l].n_outputs);
    }
    fml_forward(&m->net, m->block, &data, z, y, NULL, workspace);
    for (size_t l = 0; l < m->net.n_layers; l++)
        check_layer(r, m, l, l == 0 ? x : y[l - 1], z[l], y[l], rows, rounded_P);
}

/* Normally distributed inputs, of which those of some rows are mostly 0 or -0, and those of others not negative. */
static void *make_rows(run *r, size_t I) {
    uint64_t random = I;
    void *x = normal_reals(r, MAX_ROWS * I, 1, &random);
    for (size_t i = 0; i < MAX_ROWS * I; i++) {
        size_t kind = i / I % 3;
        if (kind == 1 && fml_random_below(&random, 4) > 0) put(r, x, i, get(r, x, i) < 0 ? -0.0 : 0);
        if (kind == 2) put(r, x, i, fabs(get(r, x, i)));
    }
    return x;
}

/* Check an engine on a design; returns the outputs of single rows of make_rows. */
static void *check_engine(run *r, const design *wanted, const fml_engine *engine, size_t seed) {
    model *m = make_model(r, wanted, 1, seed);
    size_t rows = m->I > 1000 ? 19 : MAX_ROWS;
    void *rounded_P = use_engine(r, m, engine), *x = make_rows(r, m->I), *alone = predict_alone(r, m, x, MAX_ROWS);
    check_layers(r, m, x, rows, rounded_P);
    check_batches(r, m, x, alone);
    for (size_t i = 1; i < N_THREAD_COUNTS; i++) {
        m->net.n_threads = THREAD_COUNTS[i];
        check_same_reals(r, predict(r, m, x, MAX_ROWS), alone, MAX_ROWS * m->O, "%s, %s: %zu threads", m->name,
                         engine->name, THREAD_COUNTS[i]);
    }
    if (!is_int8(engine)) { /* the engine `native` with the rounded weights */
        m->net.engine = r->kernels->native;
        fml_network_lay_out(&m->net);
        m->block = take_aligned(r, m->net.n_packed * r->kernels->real_size);
        fml_network_pack(&m->net, rounded_P, m->block);
        check_same_reals(r, predict(r, m, x, MAX_ROWS), alone, MAX_ROWS * m->O, "%s: native with weights in bfloat16",
                         m->name);
    }
    return alone;
}

/* -- unusual rows ------------------------------------------------------------------------------------------------- */

static void check_unusual_rows(run *r, const fml_engine *engine) {
    static const design ONE = {{37, 222}, NULL, "identity", "mse"};
    static const double ODD[] = {NAN, INFINITY, -INFINITY}, EQUAL[] = {0, -0.0, 1, -3, 1e30, -1e-30, 1e-37, 2e-36};
    model *m = make_model(r, &ONE, 1, 1);
    void *rounded_P = use_engine(r, m, engine);
    for (size_t k = 0; k < LENGTH_OF(EQUAL); k++) {
        void *x = equal_reals(r, m->I, EQUAL[k]);
        check_layers(r, m, x, 1, rounded_P);
        put(r, x, 5, -2 * EQUAL[k]);
        check_layers(r, m, x, 1, rounded_P);
    }
    if (is_int8(engine)) {
        void *x = equal_reals(r, m->I, r->largest / 8);
        put(r, x, 0, -r->largest);
        check_layers(r, m, x, 1, rounded_P);
    }
    for (size_t k = 0; k < LENGTH_OF(ODD) * m->I; k++) {
        void *x = equal_reals(r, 2 * m->I, 1);
        put(r, x, k / LENGTH_OF(ODD), ODD[k % LENGTH_OF(ODD)]);
        void *y = predict(r, m, x, 2), *alone = predict_alone(r, m, x, 2);
        size_t n_wrong = 0;
        for (size_t o = 0; o < m->O; o++) {
            double first = get(r, y, o), second = get(r, y, m->O + o);
            int may_be_infinite = !is_int8(engine) && k % LENGTH_OF(ODD) > 0;
            n_wrong += (may_be_infinite ? isfinite(first) : !isnan(first)) || !isfinite(second);
            n_wrong += (may_be_infinite ? isfinite(get(r, alone, o)) : !isnan(get(r, alone, o)));
        }
        check(r, n_wrong == 0, "%s: %zu outputs of a row with %g, or of the next", engine->name, n_wrong,
              ODD[k % LENGTH_OF(ODD)]);
    }
}

void check_narrow(run *r) {
    check(r, fml_find_engine(r->kernels, "native") == r->kernels->native, "the engine native is found");
    check(r, fml_find_engine(r->kernels, "no") == NULL, "no other is");
    int narrow = r->kernels->dtype == FML_F32;
    check(r, (fml_find_engine(r->kernels, "native-bfloat16") != NULL) == narrow, "bfloat16 is of float32 alone");
    check(r, (fml_find_engine(r->kernels, "native-int8") != NULL) == narrow, "int8 is of float32 alone");
    for (size_t k = 0; narrow && k < LENGTH_OF(NARROW_DESIGNS); k++) {
        if (left_out(r, k, 2)) continue;
        void *integers = NULL;
        for (const fml_engine_row *row = r->kernels->engines; row->name != NULL; row++) {
            if (row->engine->weight_gradient != NULL || (row->available != NULL && !row->available())) continue;
            if (is_int8(row->engine) && strcmp(row->name, "native-int8") == 0) continue; /* has a second name */
            void *y = check_engine(r, &NARROW_DESIGNS[k], row->engine, k);
            if (k == 0) check_unusual_rows(r, row->engine);
            if (!is_int8(row->engine)) continue;
            size_t L = 0;
            while (L < MAX_LAYERS && NARROW_DESIGNS[k].sizes[L + 1] > 0) L++;
            if (integers == NULL) integers = y;
            check_same_reals(r, y, integers, MAX_ROWS * NARROW_DESIGNS[k].sizes[L], "design %zu by %s", k, row->name);
        }
        release(r, 0);
    }
}
