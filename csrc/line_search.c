/* The line search of line_search.h: More and Thuente's interval, its four cases of interpolation, and its end.
 *
 * Constants are those of L-BFGS-B. The first stage works on the loss minus the wanted decrease, whose minimum satisfies
 * both conditions, until a step has that decrease and a slope that is not negative. */
#include "line_search.h"

#include <math.h>

/* The loss must fall by this share of what its first slope promises, and the slope's size to this share. */
static const double DECREASE = 1e-3, CURVATURE = 0.9;
static const double NARROW = 0.1; /* the relative width of an interval that ends the search */
static const double LONGEST = 1e10;

/* -- interpolation ----------------------------------------------------------------------------------------------- */

/* What the cubic through a and b is found by: theta, and gamma, the root of its discriminant. */
static double cubic_theta(line_point a, line_point b) {
    return 3 * (a.loss - b.loss) / (b.step - a.step) + a.slope + b.slope;
}
static double cubic_gamma(line_point a, line_point b, double theta) {
    double s = fmax(fabs(theta), fmax(fabs(a.slope), fabs(b.slope)));
    double square = theta / s * (theta / s) - a.slope / s * (b.slope / s);
    return s * sqrt(fmax(0, square));
}

/* The minimum of the cubic through a and b, as seen from a. */
static double cubic_step(line_point a, line_point b) {
    double theta = cubic_theta(a, b), gamma = cubic_gamma(a, b, theta);
    if (b.step < a.step) gamma = -gamma;
    double p = gamma - a.slope + theta, q = gamma - a.slope + gamma + b.slope;
    return a.step + p / q * (b.step - a.step);
}

/* The minimum of the quadratic with the losses of both and the slope of a; with the slopes of both. */
static double quadratic_step(line_point a, line_point b) {
    double width = b.step - a.step;
    return a.step + a.slope / ((a.loss - b.loss) / width + a.slope) / 2 * width;
}
static double secant_step(line_point a, line_point b) {
    return b.step + b.slope / (b.slope - a.slope) * (a.step - b.step);
}

/* The slope has its sign still and has become smaller: the cubic may have no minimum on that side. */
static double flatter_step(const line_search *s, line_point best, line_point other, line_point now) {
    double theta = cubic_theta(best, now), gamma = cubic_gamma(best, now, theta);
    if (now.step > best.step) gamma = -gamma;
    double p = gamma - now.slope + theta, q = gamma + (best.slope - now.slope) + gamma, r = p / q;
    double cubic = now.step > best.step ? s->high : s->low, secant = secant_step(best, now);
    if (r < 0 && gamma != 0) cubic = now.step + r * (best.step - now.step);
    int cubic_nearer = fabs(cubic - now.step) < fabs(secant - now.step);
    if (!s->bracketed) return fmax(s->low, fmin(s->high, cubic_nearer ? secant : cubic));
    double step = cubic_nearer ? cubic : secant, edge = now.step + 0.66 * (other.step - now.step);
    return now.step > best.step ? fmin(edge, step) : fmax(edge, step);
}

/* The next step, from the ends of the interval and what is known now; sets `bracketed`. */
static double next_step(line_search *s, line_point best, line_point other, line_point now) {
    if (now.loss > best.loss) {
        double cubic = cubic_step(best, now), quadratic = quadratic_step(best, now);
        s->bracketed = 1;
        return fabs(cubic - best.step) < fabs(quadratic - best.step) ? cubic : cubic + (quadratic - cubic) / 2;
    }
    if ((now.slope < 0) != (best.slope < 0)) {
        double cubic = cubic_step(now, best), secant = secant_step(best, now);
        s->bracketed = 1;
        return fabs(cubic - now.step) > fabs(secant - now.step) ? cubic : secant;
    }
    if (fabs(now.slope) < fabs(best.slope)) return flatter_step(s, best, other, now);
    if (s->bracketed) return cubic_step(now, other);
    return now.step > best.step ? s->high : s->low;
}

/* -- the interval ------------------------------------------------------------------------------------------------ */

static line_point without(line_point p, double slope) {
    return (line_point){p.step, p.loss - slope * p.step, p.slope - slope};
}

static void set_bounds(line_search *s, double at) {
    if (s->bracketed) {
        s->low = fmin(s->best.step, s->other.step);
        s->high = fmax(s->best.step, s->other.step);
    } else {
        s->low = at + 1.1 * (at - s->best.step);
        s->high = at + 4 * (at - s->best.step);
    }
}

static int too_narrow(const line_search *s) { return s->bracketed && s->high - s->low <= NARROW * s->high; }

static int falls_at(const line_search *s, double step, double loss) {
    return loss <= s->first_loss + step * s->decrease;
}

/* Whether the loss at a step hardly longer than this one is not finite. */
static int at_cliff(const line_search *s) {
    return s->max_step - s->at <= (s->max_step < LONGEST ? NARROW * s->max_step : 0);
}

void line_search_begin(line_search *s, double loss, double slope, double at) {
    *s = (line_search){.at = at, .first_loss = loss, .first_slope = slope, .decrease = DECREASE * slope};
    s->best = s->other = (line_point){0, loss, slope};
    s->modified = 1;
    s->high = at + 4 * at;
    s->max_step = s->width = LONGEST;
    s->last_width = 2 * LONGEST;
}

/* Takes `now` into the interval and chooses the next step. */
static void narrow(line_search *s, line_point now) {
    int modified = s->modified && now.loss <= s->best.loss && now.loss > s->first_loss + now.step * s->decrease;
    double taken = modified ? s->decrease : 0;
    line_point best = without(s->best, taken), other = without(s->other, taken), here = without(now, taken);
    double step = next_step(s, best, other, here);
    if (here.loss > best.loss)
        s->other = now;
    else {
        if ((here.slope < 0) != (best.slope < 0)) s->other = s->best;
        s->best = now;
    }
    if (s->bracketed) {
        if (fabs(s->other.step - s->best.step) >= 0.66 * s->last_width)
            step = s->best.step + (s->other.step - s->best.step) / 2;
        s->last_width = s->width;
        s->width = fabs(s->other.step - s->best.step);
    }
    set_bounds(s, step);
    s->at = fmax(0, fmin(s->max_step, step));
    if (s->at >= s->max_step && s->max_step < LONGEST) s->at = s->best.step + (s->max_step - s->best.step) / 2;
    if (s->bracketed && (s->at <= s->low || s->at >= s->high || too_narrow(s))) s->at = s->best.step;
}

search_state line_search_tell(line_search *s, double loss, double slope) {
    line_point now = {s->at, loss, slope};
    int falls = falls_at(s, s->at, loss);
    if (s->modified && falls && slope >= DECREASE * s->first_slope) s->modified = 0;
    if (falls && fabs(slope) <= -CURVATURE * s->first_slope) return SEARCH_FOUND;
    int ends = (s->bracketed && (s->at <= s->low || s->at >= s->high)) || too_narrow(s) || at_cliff(s);
    if (ends) return falls ? SEARCH_FOUND : SEARCH_FAILED;
    narrow(s, now);
    return s->at > 0 ? SEARCH_ON : SEARCH_FAILED;
}

search_state line_search_overflow(line_search *s) {
    s->max_step = s->at;
    s->at = s->best.step + (s->at - s->best.step) / 2;
    s->high = fmin(s->high, s->max_step);
    return s->at > s->best.step ? SEARCH_ON : SEARCH_FAILED;
}

int line_search_falls(const line_search *s) { return s->best.step > 0 && falls_at(s, s->best.step, s->best.loss); }
