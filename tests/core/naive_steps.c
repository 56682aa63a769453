/* The optimisers of naive.h by their definitions, in double. The core rounds each hyper-parameter to the dtype, and the
 * result of each operation: 4 epsilon of each term is a bound for both. */
#include "naive.h"

#include <math.h>
#include <string.h>

/* k a + l b, where the core rounds k and l to the dtype. */
static bounded mix(const run *r, double k, bounded a, double l, bounded b) {
    double sizes = fabs(k * a.value) + fabs(l * b.value);
    return (bounded){k * a.value + l * b.value,
                     fabs(k) * a.error + fabs(l) * b.error + 4 * r->epsilon * sizes + 2 * r->smallest};
}

/* h: r, mu, nesterov. v <- mu v + g; p <- p - r v, or with Nesterov p - r (g + mu v). */
static void sgd(const run *r, bounded *p, const bounded *g, bounded *const *states, size_t n, const double *h,
                uint64_t t) {
    (void)t;
    for (size_t i = 0; i < n; i++) {
        bounded v = mix(r, h[1], states[0][i], 1, g[i]);
        if (h[1] != 0) states[0][i] = v;
        p[i] = mix(r, 1, p[i], -h[0], h[2] != 0 ? mix(r, 1, g[i], h[1], v) : v);
    }
}

/* h: r, mu, nesterov. v <- mu v + r g; p <- p - v, or with Nesterov p - (r g + mu v). */
static void classical_momentum(const run *r, bounded *p, const bounded *g, bounded *const *states, size_t n,
                               const double *h, uint64_t t) {
    (void)t;
    for (size_t i = 0; i < n; i++) {
        bounded v = states[0][i] = mix(r, h[1], states[0][i], h[0], g[i]);
        p[i] = mix(r, 1, p[i], -1, h[2] != 0 ? mix(r, h[0], g[i], h[1], v) : v);
    }
}

static bounded scaled(bounded a, double k) { return (bounded){k * a.value, fabs(k) * a.error}; }

static bounded squared(bounded a) {
    double size = fabs(a.value);
    return (bounded){size * size, (2 * size + a.error) * a.error};
}

/* a / (sqrt v + epsilon) */
static bounded over_root(const run *r, bounded a, bounded v, double epsilon) {
    double root = sqrt(fmax(v.value, 0)) + epsilon;
    double least_root = sqrt(fmax(v.value - v.error, 0)) + epsilon;
    double largest_root = sqrt(fmax(v.value + v.error, 0)) + epsilon;
    bounded u = {a.value / root, 0};
    double apart = fmax(root - least_root, largest_root - root);
    u.error = (a.error + fabs(u.value) * apart) / least_root + 8 * r->epsilon * fabs(u.value);
    return u;
}

/* 1, 0 or -1, with an error of 2 if the sign is uncertain because of the error of a. */
static bounded sign(bounded a) {
    return (bounded){(a.value > 0) - (a.value < 0), a.error > 0 && fabs(a.value) <= a.error ? 2 : 0};
}

/* m <- beta_1 m + (1 - beta_1) g, v <- beta_2 v + (1 - beta_2) g^2: h[1] and h[2]. */
static void take_moments(const run *r, bounded *m, bounded *v, bounded g, const double *h) {
    *m = mix(r, h[1], *m, 1 - h[1], g);
    *v = mix(r, h[2], *v, 1 - h[2], squared(g));
}

/* h: r, beta_1, beta_2, epsilon, decay. p <- (1 - r decay) p - r m' / (sqrt v' + epsilon) with m' = m / (1 - beta_1^t),
 * v' = v / (1 - beta_2^t). */
static void adamw(const run *r, bounded *p, const bounded *g, bounded *const *states, size_t n, const double *h,
                  uint64_t t) {
    double correction_1 = 1 - pow(h[1], (double)t), correction_2 = 1 - pow(h[2], (double)t);
    for (size_t i = 0; i < n; i++) {
        bounded *m = &states[0][i], *v = &states[1][i];
        take_moments(r, m, v, g[i], h);
        bounded u = over_root(r, scaled(*m, 1 / correction_1), scaled(*v, 1 / correction_2), h[3]);
        p[i] = mix(r, 1 - h[0] * h[4], p[i], -h[0], u);
    }
}

static void adam(const run *r, bounded *p, const bounded *g, bounded *const *states, size_t n, const double *h,
                 uint64_t t) {
    const double without_decay[] = {h[0], h[1], h[2], h[3], 0};
    adamw(r, p, g, states, n, without_decay, t);
}

/* h: r, beta_1, beta_2, epsilon. p <- p - r sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt v + epsilon): Adam with an
 * epsilon that is divided by sqrt(1 - beta_2^t). */
static void adam_hat(const run *r, bounded *p, const bounded *g, bounded *const *states, size_t n, const double *h,
                     uint64_t t) {
    const double divided[] = {h[0], h[1], h[2], h[3] / sqrt(1 - pow(h[2], (double)t)), 0};
    adamw(r, p, g, states, n, divided, t);
}

/* h: r, beta_1, beta_2, epsilon, decay. mu_t = beta_1 (1 - 0.96^(t decay) / 2), M = mu_1 ... mu_t; Adam with
 * mu_(t+1) m / (1 - M mu_(t+1)) + (1 - mu_t) g / (1 - M) in place of m'. */
static void nadam(const run *r, bounded *p, const bounded *g, bounded *const *states, size_t n, const double *h,
                  uint64_t t) {
    double mu = 0, product = 1, next = h[1] * (1 - pow(0.96, (double)(t + 1) * h[4]) / 2);
    for (uint64_t k = 1; k <= t; k++) {
        mu = h[1] * (1 - pow(0.96, (double)k * h[4]) / 2);
        product *= mu;
    }
    for (size_t i = 0; i < n; i++) {
        bounded *m = &states[0][i], *v = &states[1][i];
        take_moments(r, m, v, g[i], h);
        bounded direction = mix(r, next / (1 - product * next), *m, (1 - mu) / (1 - product), g[i]);
        p[i] = mix(r, 1, p[i], -h[0], over_root(r, direction, scaled(*v, 1 / (1 - pow(h[2], (double)t))), h[3]));
    }
}

/* h: r, alpha, epsilon, mu, centered. v <- alpha v + (1 - alpha) g^2, a <- alpha a + (1 - alpha) g; u = g / (sqrt v +
 * epsilon), centered with v - a^2; b <- mu b + u; p <- p - r b. */
static void rmsprop(const run *r, bounded *p, const bounded *g, bounded *const *states, size_t n, const double *h,
                    uint64_t t) {
    (void)t;
    for (size_t i = 0; i < n; i++) {
        bounded *v = &states[0][i], *b = &states[1][i], *a = &states[2][i], size;
        size = *v = mix(r, h[1], *v, 1 - h[1], squared(g[i]));
        if (h[4] != 0) {
            *a = mix(r, h[1], *a, 1 - h[1], g[i]);
            size = mix(r, 1, *v, -1, squared(*a));
        }
        bounded u = over_root(r, g[i], size, h[2]);
        if (h[3] != 0) u = *b = mix(r, h[3], *b, 1, u);
        p[i] = mix(r, 1, p[i], -h[0], u);
    }
}

/* h: r, decay, first accumulator, epsilon. v <- v + g^2; p <- p - r / (1 + (t - 1) decay) g / (sqrt v + epsilon). */
static void adagrad(const run *r, bounded *p, const bounded *g, bounded *const *states, size_t n, const double *h,
                    uint64_t t) {
    for (size_t i = 0; i < n; i++) {
        bounded *v = &states[0][i];
        if (t == 1) *v = (bounded){rounded(r, h[2]), 0};
        *v = mix(r, 1, *v, 1, squared(g[i]));
        p[i] = mix(r, 1, p[i], -h[0] / (1 + (double)(t - 1) * h[1]), over_root(r, g[i], *v, h[3]));
    }
}

/* h: r, beta_1, beta_2, decay. p <- (1 - r decay) p - r sign(beta_1 m + (1 - beta_1) g); m <- beta_2 m + (1 - beta_2)
 * g. */
static void lion(const run *r, bounded *p, const bounded *g, bounded *const *states, size_t n, const double *h,
                 uint64_t t) {
    (void)t;
    for (size_t i = 0; i < n; i++) {
        bounded *m = &states[0][i];
        p[i] = mix(r, 1 - h[0] * h[3], p[i], -h[0], sign(mix(r, h[1], *m, 1 - h[1], g[i])));
        *m = mix(r, h[2], *m, 1 - h[2], g[i]);
    }
}

/* h: first, eta_minus, eta_plus, minimum and maximum step size. s grows if g and the previous g have the same sign; it
 * shrinks, and g counts as 0, if they have opposite signs; p <- p - s sign(g). Gradients must be exact, as there is no
 * useful bound if a sign is uncertain. */
static void rprop(const run *r, bounded *p, const bounded *g, bounded *const *states, size_t n, const double *h,
                  uint64_t t) {
    for (size_t i = 0; i < n; i++) {
        bounded *before = &states[0][i], *s = &states[1][i];
        double agreement = sign(g[i]).value * sign(*before).value;
        if (t == 1) *s = (bounded){rounded(r, h[0]), 0};
        if (agreement != 0) *s = mix(r, agreement > 0 ? h[2] : h[1], *s, 0, *s);
        s->value = fmin(fmax(s->value, rounded(r, h[3])), rounded(r, h[4]));
        *before = agreement < 0 ? (bounded){0, 0} : g[i];
        p[i] = mix(r, 1, p[i], -sign(*before).value, *s);
    }
}

static const optimizer_formula OPTIMIZER_FORMULAS[] = {
    {"sgd", sgd},         {"classical_momentum", classical_momentum},
    {"adam", adam},       {"adam_hat", adam_hat},
    {"adamw", adamw},     {"nadam", nadam},
    {"rmsprop", rmsprop}, {"adagrad", adagrad},
    {"lion", lion},       {"rprop", rprop},
};

const optimizer_formula *find_optimizer_formula(const char *name) {
    for (size_t i = 0; i < LENGTH_OF(OPTIMIZER_FORMULAS); i++)
        if (strcmp(OPTIMIZER_FORMULAS[i].name, name) == 0) return &OPTIMIZER_FORMULAS[i];
    return NULL;
}
