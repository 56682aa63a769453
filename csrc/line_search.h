/* A line search for the strong Wolfe conditions: it finds a step where the loss has decreased sufficiently and the
 * absolute value of its slope is small. Private to line_search.c and lbfgs.c.
 *
 * Algorithm: More and Thuente, "Line search algorithms with guaranteed sufficient decrease", 1994. An interval that
 * contains such a step is shrunk by cubic and quadratic interpolation. The caller evaluates the loss: after
 * line_search_begin it evaluates at `trial` and passes the result to line_search_update, as long as that returns
 * SEARCH_ON. */
#ifndef FASTMLP_LINE_SEARCH_H
#define FASTMLP_LINE_SEARCH_H

/* A step, and the loss and its derivative with respect to the step there. */
typedef struct {
    double step, loss, slope;
} line_point;

typedef struct {
    double trial;           /* the step to evaluate next */
    double first_loss;      /* the loss at step 0 */
    double decrease_slope;  /* the decrease at step t is sufficient if loss <= first_loss + t decrease_slope */
    double first_slope;     /* the slope at step 0 */
    line_point best, other; /* the ends of the interval; `best` has the smaller loss */
    double low, high;       /* bounds of the next trial */
    double max_step;        /* upper bound of all trials */
    double width, last_width;
    int bracketed;   /* whether the interval is known to contain a minimum */
    int first_stage; /* whether More and Thuente's modified function is used: loss - t decrease_slope */
} line_search;

typedef enum { SEARCH_ON, SEARCH_FOUND, SEARCH_FAILED } search_state;

/* Begin a search. At step 0 the loss and its slope, which is negative, are given; `trial` is the first step to try. */
void line_search_begin(line_search *s, double loss, double slope, double trial);
/* Take loss and slope at s->trial. SEARCH_FOUND: the step meets the conditions. SEARCH_FAILED: no step is better
 * than s->best within rounding errors. SEARCH_ON: evaluate at s->trial, which has changed. */
search_state line_search_update(line_search *s, double loss, double slope);
/* Take that the loss at s->trial is not finite. SEARCH_ON: evaluate at s->trial, which is now a shorter step. */
search_state line_search_overflow(line_search *s);
/* Whether the decrease at s->best is sufficient. */
int line_search_has_decrease(const line_search *s);

#endif
