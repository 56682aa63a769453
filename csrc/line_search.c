/* The line search of line_search.h: More and Thuente's four cases of interpolation, their update of the interval, and
 * the conditions that end a search. The constants are those of L-BFGS-B.
 *
 * The first stage works on the modified function loss - t decrease_slope, whose minimum satisfies both Wolfe
 * conditions. It ends at a step whose decrease is sufficient and whose slope is at least decrease_slope. */
#include "line_search.h"

#include <math.h>

/* The Wolfe conditions: loss <= first_loss + MIN_DECREASE t first_slope, and |slope| <= MAX_SLOPE |first_slope|. */
static const double MIN_DECREASE = 1e-3, MAX_SLOPE = 0.9;
static const double MIN_WIDTH = 0.1; /* an interval of this relative width ends the search */
static const double MAX_STEP = 1e10;

/* -- interpolation ----------------------------------------------------------------------------------------------- */

/* theta and gamma of the cubic that interpolates losses and slopes at a and b; gamma is the square root of its
 * discriminant. */
static double cubic_theta(line_point a, line_point b) {
    return 3 * (a.loss - b.loss) / (b.step - a.step) + a.slope + b.slope;
}
static double cubic_gamma(line_point a, line_point b, double theta) {
    double s = fmax(fabs(theta), fmax(fabs(a.slope), fabs(b.slope)));
    double square = theta / s * (theta / s) - a.slope / s * (b.slope / s);
    return s * sqrt(fmax(0, square));
}

/* The minimum of the cubic that interpolates losses and slopes at a and b. */
static double cubic_step(line_point a, line_point b) {
    double theta = cubic_theta(a, b), gamma = cubic_gamma(a, b, theta);
    if (b.step < a.step) gamma = -gamma;
    double p = gamma - a.slope + theta, q = gamma - a.slope + gamma + b.slope;
    return a.step + p / q * (b.step - a.step);
}

/* The minimum of the quadratic that interpolates the losses at a and b and the slope at a. */
static double quadratic_step(line_point a, line_point b) {
    double width = b.step - a.step;
    return a.step + a.slope / ((a.loss - b.loss) / width + a.slope) / 2 * width;
}

/* The minimum of the quadratic that interpolates the slopes at a and b. */
static double secant_step(line_point a, line_point b) {
    return b.step + b.slope / (b.slope - a.slope) * (a.step - b.step);
}

/* Case 3 of next_step: a smaller slope of the same sign. The cubic may have no minimum beyond the latest point. */
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

/* The next trial, interpolated from the ends of the interval and the latest point; sets `bracketed`. Its four cases
 * are: a larger loss than at best; a slope of the other sign; a smaller slope of the same sign; a slope not smaller. */
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

/* The point p on the graph of the function minus slope * step. */
static line_point minus_line(line_point p, double slope) {
    return (line_point){p.step, p.loss - slope * p.step, p.slope - slope};
}

/* Set the bounds of the next trial; without a bracket, it may go from 1.1 to 4 times as far beyond `trial`. */
static void set_bounds(line_search *s, double trial) {
    if (s->bracketed) {
        s->low = fmin(s->best.step, s->other.step);
        s->high = fmax(s->best.step, s->other.step);
    } else {
        s->low = trial + 1.1 * (trial - s->best.step);
        s->high = trial + 4 * (trial - s->best.step);
    }
}

static int too_narrow(const line_search *s) { return s->bracketed && s->high - s->low <= MIN_WIDTH * s->high; }

/* Whether the decrease at a step with that loss is sufficient. */
static int has_decrease(const line_search *s, double step, double loss) {
    return loss <= s->first_loss + step * s->decrease_slope;
}

/* Whether max_step, where the loss was not finite, is hardly longer than the trial. */
static int near_max_step(const line_search *s) {
    return s->max_step - s->trial <= (s->max_step < MAX_STEP ? MIN_WIDTH * s->max_step : 0);
}

void line_search_begin(line_search *s, double loss, double slope, double trial) {
    *s =
        (line_search){.trial = trial, .first_loss = loss, .first_slope = slope, .decrease_slope = MIN_DECREASE * slope};
    s->best = s->other = (line_point){0, loss, slope};
    s->first_stage = 1;
    s->high = trial + 4 * trial;
    s->max_step = s->width = MAX_STEP;
    s->last_width = 2 * MAX_STEP;
}

/* Update the interval by the latest point, and choose the next trial. */
static void update_interval(line_search *s, line_point now) {
    int modified =
        s->first_stage && now.loss <= s->best.loss && now.loss > s->first_loss + now.step * s->decrease_slope;
    double line = modified ? s->decrease_slope : 0;
    line_point best = minus_line(s->best, line), other = minus_line(s->other, line), latest = minus_line(now, line);
    double step = next_step(s, best, other, latest);
    if (latest.loss > best.loss)
        s->other = now;
    else {
        if ((latest.slope < 0) != (best.slope < 0)) s->other = s->best;
        s->best = now;
    }
    if (s->bracketed) {
        if (fabs(s->other.step - s->best.step) >= 0.66 * s->last_width)
            step = s->best.step + (s->other.step - s->best.step) / 2;
        s->last_width = s->width;
        s->width = fabs(s->other.step - s->best.step);
    }
    set_bounds(s, step);
    s->trial = fmax(0, fmin(s->max_step, step));
    if (s->trial >= s->max_step && s->max_step < MAX_STEP) s->trial = s->best.step + (s->max_step - s->best.step) / 2;
    if (s->bracketed && (s->trial <= s->low || s->trial >= s->high || too_narrow(s))) s->trial = s->best.step;
}

search_state line_search_update(line_search *s, double loss, double slope) {
    line_point now = {s->trial, loss, slope};
    int sufficient = has_decrease(s, s->trial, loss);
    if (s->first_stage && sufficient && slope >= MIN_DECREASE * s->first_slope) s->first_stage = 0;
    if (sufficient && fabs(slope) <= -MAX_SLOPE * s->first_slope) return SEARCH_FOUND;
    int ends = (s->bracketed && (s->trial <= s->low || s->trial >= s->high)) || too_narrow(s) || near_max_step(s);
    if (ends) return sufficient ? SEARCH_FOUND : SEARCH_FAILED;
    update_interval(s, now);
    return s->trial > 0 ? SEARCH_ON : SEARCH_FAILED;
}

search_state line_search_overflow(line_search *s) {
    s->max_step = s->trial;
    s->trial = s->best.step + (s->trial - s->best.step) / 2;
    s->high = fmin(s->high, s->max_step);
    return s->trial > s->best.step ? SEARCH_ON : SEARCH_FAILED;
}

int line_search_has_decrease(const line_search *s) {
    return s->best.step > 0 && has_decrease(s, s->best.step, s->best.loss);
}
