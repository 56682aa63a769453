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

/* h: r, beta_1, beta_2, epsilon. m <- beta_1 m + (1 - beta_1) g, v <- beta_2 v + (1 - beta_2) g^2;
 * p <- p - r m' / (sqrt v' + epsilon) with m' = m / (1 - beta_1^t), v' = v / (1 - beta_2^t). */
static void adam(const run *r, bounded *p, const bounded *g, bounded *const *states, size_t n, const double *h,
                 uint64_t t) {
    double correction_1 = 1 - pow(h[1], (double)t), correction_2 = 1 - pow(h[2], (double)t);
    for (size_t i = 0; i < n; i++) {
        double size = fabs(g[i].value);
        bounded square = {size * size, (2 * size + g[i].error) * g[i].error};
        bounded m = states[0][i] = mix(r, h[1], states[0][i], 1 - h[1], g[i]);
        bounded v = states[1][i] = mix(r, h[2], states[1][i], 1 - h[2], square);
        double root = sqrt(v.value / correction_2) + h[3];
        double least_root = sqrt(fmax(v.value - v.error, 0) / correction_2) + h[3];
        double largest_root = sqrt((v.value + v.error) / correction_2) + h[3];
        bounded u = {m.value / correction_1 / root, 0};
        double apart = fmax(root - least_root, largest_root - root);
        u.error = (m.error / correction_1 + fabs(u.value) * apart) / least_root + 8 * r->epsilon * fabs(u.value);
        p[i] = mix(r, 1, p[i], -h[0], u);
    }
}

const optimizer_formula OPTIMIZER_FORMULAS[] = {{"sgd", sgd}, {"adam", adam}, {NULL, NULL}};

const optimizer_formula *find_optimizer_formula(const char *name) {
    const optimizer_formula *f = OPTIMIZER_FORMULAS;
    while (f->name != NULL && strcmp(f->name, name) != 0) f++;
    return f->name == NULL ? NULL : f;
}
