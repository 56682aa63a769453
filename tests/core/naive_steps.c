/* The optimisers as their papers have them, in plain double: see naive.h. Hyper-parameters are rounded to the dtype by
 * the core, once each, and every operation rounds: 4 epsilons of each term cover both. */
#include "naive.h"

#include <math.h>
#include <string.h>

/* k a + l b with k and l of the dtype */
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

static bounded square_of(bounded a) {
    double size = fabs(a.value);
    return (bounded){size * size, (2 * size + a.error) * a.error};
}

/* a / (sqrt(v) + epsilon) */
static bounded over_root(const run *r, bounded a, bounded v, double epsilon) {
    double root = sqrt(fmax(v.value, 0)) + epsilon;
    double least_root = sqrt(fmax(v.value - v.error, 0)) + epsilon, largest_root = sqrt(v.value + v.error) + epsilon;
    bounded u = {a.value / root, 0};
    double apart = fmax(root - least_root, largest_root - root);
    u.error = (a.error + fabs(u.value) * apart) / least_root + 8 * r->epsilon * fabs(u.value);
    return u;
}

static bounded times(double k, bounded a) { return (bounded){k * a.value, fabs(k) * a.error}; }
static double sign(double a) { return a > 0 ? 1 : a < 0 ? -1 : 0; }

/* h: r, beta_1, beta_2, epsilon. m <- beta_1 m + (1 - beta_1) g, v <- beta_2 v + (1 - beta_2) g^2;
 * p <- p - r m' / (sqrt v' + epsilon) with m' = m / (1 - beta_1^t), v' = v / (1 - beta_2^t). */
static void adam(const run *r, bounded *p, const bounded *g, bounded *const *states, size_t n, const double *h,
                 uint64_t t) {
    double correction_1 = 1 - pow(h[1], (double)t), correction_2 = 1 - pow(h[2], (double)t);
    for (size_t i = 0; i < n; i++) {
        bounded m = states[0][i] = mix(r, h[1], states[0][i], 1 - h[1], g[i]);
        bounded v = states[1][i] = mix(r, h[2], states[1][i], 1 - h[2], square_of(g[i]));
        p[i] = mix(r, 1, p[i], -h[0], over_root(r, times(1 / correction_1, m), times(1 / correction_2, v), h[3]));
    }
}

/* h: Adam's, weight decay. p <- p (1 - r decay), then Adam. */
static void adamw(const run *r, bounded *p, const bounded *g, bounded *const *states, size_t n, const double *h,
                  uint64_t t) {
    for (size_t i = 0; i < n; i++) p[i] = mix(r, 1, p[i], -h[0] * h[4], p[i]);
    adam(r, p, g, states, n, h, t);
}

/* h: Adam's, momentum decay. mu_t = beta_1 (1 - 0.96^(t decay) / 2), M = mu_1 ... mu_t;
 * p <- p - r [mu_(t+1) m / (1 - M mu_(t+1)) + (1 - mu_t) g / (1 - M)] / (sqrt v' + epsilon). */
static double nadam_mu(const double *h, double t) { return h[1] * (1 - 0.5 * pow(0.96, t * h[4])); }
static void nadam(const run *r, bounded *p, const bounded *g, bounded *const *states, size_t n, const double *h,
                  uint64_t t) {
    double product = 1, mu = nadam_mu(h, (double)t), next = nadam_mu(h, (double)t + 1);
    for (uint64_t k = 1; k <= t; k++) product *= nadam_mu(h, (double)k);
    for (size_t i = 0; i < n; i++) {
        bounded m = states[0][i] = mix(r, h[1], states[0][i], 1 - h[1], g[i]);
        bounded v = states[1][i] = mix(r, h[2], states[1][i], 1 - h[2], square_of(g[i]));
        bounded u = mix(r, next / (1 - product * next), m, (1 - mu) / (1 - product), g[i]);
        p[i] = mix(r, 1, p[i], -h[0], over_root(r, u, times(1 / (1 - pow(h[2], (double)t)), v), h[3]));
    }
}

/* h: r, alpha, epsilon, mu, centered. v <- alpha v + (1 - alpha) g^2, a <- alpha a + (1 - alpha) g;
 * u = g / (sqrt(v - a^2) + epsilon), or without a; b <- mu b + u; p <- p - r b. */
static void rmsprop(const run *r, bounded *p, const bounded *g, bounded *const *states, size_t n, const double *h,
                    uint64_t t) {
    (void)t;
    for (size_t i = 0; i < n; i++) {
        bounded v = states[0][i] = mix(r, h[1], states[0][i], 1 - h[1], square_of(g[i]));
        if (h[4] != 0) {
            bounded a = states[2][i] = mix(r, h[1], states[2][i], 1 - h[1], g[i]);
            v = mix(r, 1, v, -1, square_of(a));
        }
        bounded u = over_root(r, g[i], v, h[2]);
        if (h[3] != 0) u = states[1][i] = mix(r, h[3], states[1][i], 1, u);
        p[i] = mix(r, 1, p[i], -h[0], u);
    }
}

/* h: r, decay, first v, epsilon. v <- v + g^2; p <- p - r / (1 + (t - 1) decay) g / (sqrt v + epsilon). */
static void adagrad(const run *r, bounded *p, const bounded *g, bounded *const *states, size_t n, const double *h,
                    uint64_t t) {
    for (size_t i = 0; i < n; i++) {
        if (t == 1) states[0][i].value = h[2];
        bounded v = states[0][i] = mix(r, 1, states[0][i], 1, square_of(g[i]));
        p[i] = mix(r, 1, p[i], -h[0] / (1 + (double)(t - 1) * h[1]), over_root(r, g[i], v, h[3]));
    }
}

/* h: r, beta_1, beta_2, decay. p <- p (1 - r decay) - r sign(beta_1 m + (1 - beta_1) g); m <- beta_2 m + (1 - beta_2)
 * g. Where the sign is not known, either may come. */
static void lion(const run *r, bounded *p, const bounded *g, bounded *const *states, size_t n, const double *h,
                 uint64_t t) {
    (void)t;
    for (size_t i = 0; i < n; i++) {
        bounded c = mix(r, h[1], states[0][i], 1 - h[1], g[i]), direction = {sign(c.value), 0};
        if (fabs(c.value) <= c.error) direction = (bounded){0, c.value == 0 && c.error <= 2 * r->smallest ? 0 : 1};
        p[i] = mix(r, 1 - h[0] * h[3], p[i], -h[0], direction);
        states[0][i] = mix(r, h[2], states[0][i], 1 - h[2], g[i]);
    }
}

/* h: r, eta_minus, eta_plus, least and largest s. s, at first r, times eta_plus or eta_minus as g has kept its sign or
 * not, where it has not g counts as 0; p <- p - s sign(g). */
static void rprop(const run *r, bounded *p, const bounded *g, bounded *const *states, size_t n, const double *h,
                  uint64_t t) {
    for (size_t i = 0; i < n; i++) {
        double agree = sign(g[i].value) * sign(states[0][i].value);
        bounded s = t == 1 ? (bounded){h[0], r->epsilon * h[0]} : states[1][i], slope = g[i];
        s = mix(r, agree > 0 ? h[2] : agree < 0 ? h[1] : 1, s, 0, s);
        s.value = fmin(fmax(s.value, h[3]), h[4]);
        if (agree < 0) slope = (bounded){0, 0};
        states[0][i] = slope;
        states[1][i] = s;
        p[i] = mix(r, 1, p[i], -sign(slope.value), s);
    }
}

const optimizer_formula OPTIMIZER_FORMULAS[] = {{"sgd", sgd},     {"adam", adam},       {"adamw", adamw},
                                                {"nadam", nadam}, {"rmsprop", rmsprop}, {"adagrad", adagrad},
                                                {"lion", lion},   {"rprop", rprop},     {NULL, NULL}};

const optimizer_formula *find_optimizer_formula(const char *name) {
    const optimizer_formula *f = OPTIMIZER_FORMULAS;
    while (f->name != NULL && strcmp(f->name, name) != 0) f++;
    return f->name == NULL ? NULL : f;
}
