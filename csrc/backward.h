/* The backward pass over a part of a batch by one team of threads (backward.c), for gradient.c. */
#ifndef BACKWARD_H
#define BACKWARD_H

#include "core.h"
#include "float_mode.h"

/* Losses are computed for so many rows at a time, and added in their order; teams and threads divide a batch at
 * multiples of it. */
enum { LOSS_ROWS = 16 };

typedef struct {
    const fml_pass *pass;
    size_t n_threads; /* with more than one, the caller must not be a thread of the pool itself */
    void *const
        *prepared; /* for each layer the weights as the engine's `prepare` writes them, or NULL if nobody reads them */
    float_mode callers_mode; /* in which the pass polls */
} team;

/* The number of rows from which on they are divided into several pieces. */
size_t max_piece_rows(const fml_network *net);
/* The number of threads that a team for that many rows has, and a bound of it for that many rows or fewer. */
size_t team_threads(const fml_network *net, size_t rows);
size_t max_team_threads(const fml_network *net, size_t rows);
/* The number of layers whose outputs such a team divides. */
size_t n_wide_layers(const fml_network *net, size_t rows);
/* The bytes of workspace that suffice for a team with that many rows or fewer, and for a single thread with any number
 * of rows. */
size_t max_backward_workspace(const fml_pass *pass, size_t rows);
size_t thread_workspace(const fml_pass *pass);
/* Write the sum over the rows begin ... end - 1 of the batch of w_i times the gradient of their loss, divided by the
 * batch's weight, to pass->gradient, and its rows of pass->dx. *loss is the sum of w_i l_i over these rows. If the rows
 * are the batch's last ones, pass->update is applied instead of writing the gradient. */
fml_status backward(const team *team, size_t begin, size_t end, void *workspace, double *loss);

#endif
