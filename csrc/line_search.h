/* A line search for the strong Wolfe conditions: a step at which the loss has fallen enough and its slope nearly is 0.
 *
 * More and Thuente, "Line search algorithms with guaranteed sufficient decrease", 1994: an interval that holds such a
 * step is shrunk by cubic and quadratic interpolation. Private to line_search.c and lbfgs.c. The caller evaluates: it
 * begins a search, evaluates at its `at`, tells it, and goes on while the answer is SEARCH_ON. */
#ifndef FASTMLP_LINE_SEARCH_H
#define FASTMLP_LINE_SEARCH_H

/* A step along the line, with the loss and its derivative there. */
typedef struct {
    double step, loss, slope;
} line_point;

typedef struct {
    double at;                   /* the step to evaluate next */
    double first_loss, decrease; /* the loss at 0, and the slope that the decrease is measured by */
    double first_slope;
    line_point best, other; /* the ends of the interval, the one with the least loss first */
    double low, high;       /* bounds of the next step */
    double max_step;        /* no step is longer */
    double width, last_width;
    int bracketed; /* the interval holds a minimum */
    int modified;  /* the first stage: with the wanted decrease taken from the loss */
} line_search;

typedef enum { SEARCH_ON, SEARCH_FOUND, SEARCH_FAILED } search_state;

/* At step 0 the loss and its slope, below 0, are known; `at` is the first step to try. */
void line_search_begin(line_search *s, double loss, double slope, double at);
/* What was found at s->at; FAILED: no step within rounding errors is better than the best known one. */
search_state line_search_tell(line_search *s, double loss, double slope);
/* At s->at the loss is not finite: a shorter step is to be tried. */
search_state line_search_overflow(line_search *s);
/* Whether the best step so far has the wanted decrease. */
int line_search_falls(const line_search *s);

#endif
