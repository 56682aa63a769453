/* The interface of the C core: kernel tables, engines, networks, data, passes, training, threads, random numbers.
 *
 * The core knows neither Python nor BLAS. Callers check all arguments beforehand, so kernels return void, and what can
 * still go wrong during a pass is returned as an fml_status. Kernels allocate nothing: the caller provides all memory,
 * which fml_allocate aligns.
 *
 * Notation, as everywhere in fastmlp: B rows of a batch, I inputs and O outputs of a layer, L layers, x input (B, I),
 * w weights (O, I), b bias (O,), z = x w^T + b, y = f(z), t target; dx, dw, db, dz, dy are gradients. Matrices are
 * row-major and, unless a row stride is given, contiguous. A "real" is an element of the network's dtype, float or
 * double; pointers to reals are passed as void *. A "block" is an array of n_packed reals in the engine's layout: the
 * parameters of a network, or one number for each of them, such as the gradient. Pointers may alias only where a
 * comment says so. */
#ifndef FML_CORE_H
#define FML_CORE_H

#include <stddef.h>
#include <stdint.h>

#undef I /* a macro of complex.h; here I is a number of inputs */

enum { FML_MAX_HYPER_PARAMETERS = 8, FML_MAX_SCALARS = 8, FML_MAX_STATES = 3, FML_ALIGNMENT = 64 };

typedef enum { FML_F32, FML_F64 } fml_dtype;
typedef enum { FML_OK, FML_STOPPED, FML_INPUT_NOT_FINITE, FML_LOSS_NOT_FINITE } fml_status;

/* -- kernel tables ----------------------------------------------------------------------------------------------- */

/* The tables of activations, losses and optimisers have one row for each, and end with a row whose name is NULL. The
 * order of the rows is the same for all ISAs and dtypes. The core refers to rows by index or pointer; names are for its
 * callers. */

typedef struct {
    const char *name;
    int reads_z; /* whether backward needs z; if not, it computes f' from y, and z may be NULL */
    /* y = f(z), both (rows, O); y may be z. h: the hyper-parameters. Where rows are padded, O includes the padding,
     * whose values are arbitrary. */
    void (*forward)(const void *z, void *y, size_t rows, size_t O, const double *h);
    /* dz = dy * f'(z), all (rows, O); dz may be dy. NULL for softmax, whose gradient only the losses compute. */
    void (*backward)(const void *z, const void *y, const void *dy, void *dz, size_t rows, size_t O, const double *h);
    int whole_tiles; /* a call is expensive (a Python function): make one for all rows of a tile */
    int is_softmax;  /* classify_softmax can find the classes from z */
} fml_activation;

typedef struct fml_network fml_network;

/* The arguments of a loss: outputs and targets of some rows, and where to write the gradient. */
typedef struct {
    const fml_network *net; /* gives the sizes and the hyper-parameters of the loss and of the last activation */
    const void *output;     /* (rows, O): z of the last layer if the loss has from_z, else y */
    const void *t;          /* (rows, n_targets) */
    const double *weights;  /* (rows,), or NULL if each row has the weight 1 */
    void *d;                /* (rows, O), receives scale * gradient, and may be output; or NULL */
    size_t rows;
    double scale;
} fml_loss_rows;

typedef struct {
    const char *name;
    int from_z; /* whether output is z of the last layer, and d the gradient with respect to z; else both are of y */
    /* Return the sum of the losses of the rows, ignoring their weights, and write d = scale * the gradient of that
     * sum. NULL if the loss is the network's own_loss. */
    double (*value_and_gradient)(const fml_loss_rows *rows);
    double threshold; /* a network with one output predicts class 1 where the output is above it */
} fml_loss;

/* A custom loss: returns the sum of the losses of the rows times their weights, and writes d. It is called on the
 * thread and in the floating-point mode of the pass's caller. After a failure it returns NaN, which ends the pass. */
typedef double (*fml_own_loss)(void *context, const fml_loss_rows *rows);

typedef struct fml_method fml_method; /* see method.h */

typedef struct {
    const char *name;
    int n_states; /* number of state vectors, blocks that start at 0 */
    /* Compute the scalars of step t = 1, 2, ... from the hyper-parameters h; on entry they are those of the last step.
     */
    void (*prepare)(const double *h, uint64_t t, double *scalars);
    /* p <- p - update(g) for n parameters. Every parameter is updated independently of the others, so a step may be
     * applied to a block in any number of parts. */
    void (*step)(void *p, const void *g, void *const *states, size_t n, const double *scalars);
    /* The learning rate r if the step is p <- p - r g, which an engine may then apply itself; otherwise 0. May be
     * NULL. */
    double (*plain_rate)(const double *h);
    /* The whole-batch method, see method.h, for which all of the above is 0 or NULL; NULL for gradient steps. */
    const fml_method *method;
} fml_optimizer;

/* Shaping: what regularisation does to a gradient g and its parameters p, element by element, before the optimiser's
 * step: g <- scale * clip(g + l1 sign(p) + l2 p, -limit, limit), then p <- kept * p. */
typedef struct {
    double l1, l2, limit, scale, kept;
} fml_shaping;

/* One step of an optimiser, with its scalars and its learning rate computed. */
typedef struct {
    const fml_optimizer *optimizer;
    void *const *states;
    double scalars[FML_MAX_SCALARS];
    double rate;                /* the result of plain_rate, or 0 */
    const fml_shaping *shaping; /* [0] of weights, [1] of biases; NULL: none */
} fml_update;

typedef struct fml_engine fml_engine;
typedef struct fml_pass fml_pass;

/* An engine of an ISA, and whether the processor has the instructions that it needs beyond those of the ISA. */
typedef struct {
    const char *name;
    const fml_engine *engine;
    int (*available)(void); /* NULL: always */
} fml_engine_row;

/* The element type of a matrix; FML_REAL is the network's own dtype. Other types are converted to it by value. */
typedef enum { FML_REAL, FML_UINT8, FML_FLOAT16, FML_FLOAT32, FML_FLOAT64 } fml_element;

/* Scaling by column: x = (X - offset) / scale. Both pointers are NULL if there is no scaling. */
typedef struct {
    const double *offset, *scale;
} fml_affine;

/* A matrix of any element type, dense or sparse (CSR), and the scaling of its columns. */
typedef struct {
    const void *elements; /* dense: (., n_columns); sparse: CSR's data */
    fml_element element;
    size_t n_columns, row; /* row: stride of dense rows in elements; 0: n_columns */
    const int64_t *begins; /* CSR's indptr: row i has the elements begins[i] ... begins[i + 1] - 1; NULL: dense */
    /* CSR's indices: the column of each element. Elements whose column is out of range are ignored. Elements of the
     * same column are added; in a scaled matrix, a row has at most one element per column. */
    const int32_t *columns;
    fml_affine scaling;
} fml_matrix;

/* Rows to prefetch: the n rows order[0 ... n - 1] of `data`, each row_bytes long. */
typedef struct {
    const char *data;
    const uint32_t *order;
    size_t n, row_bytes;
} fml_ahead;

typedef struct {
    const char *isa;
    fml_dtype dtype;
    size_t real_size;
    const fml_activation *activations;
    const fml_loss *losses;
    const fml_optimizer *optimizers;
    const fml_engine *native; /* the native engine, compiled for this ISA and dtype */
    /* All engines that are compiled for this ISA and dtype. The table ends with a row whose name is NULL. Among rows of
     * the same name, the first that is available is the best. */
    const fml_engine_row *engines;

    /* -- rows -- */

    /* z_i <- z_i + b for every row i; z: (rows, O), b: (O,). */
    void (*add_bias)(const void *b, void *z, size_t rows, size_t O);
    /* sums = [sums +] the sum of the rows of d; d: (rows, O), sums: (O,). */
    void (*sum_rows)(const void *d, void *sums, size_t rows, size_t O, int accumulate);
    /* x_i = X[order[i]], or X[i] if order is NULL; X: (., I), x: (rows, I) with a row stride of x_row reals. Returns
     * whether all elements are finite. */
    int (*gather)(const void *X, const uint32_t *order, size_t rows, size_t I, void *x, size_t x_row);
    /* Like gather, for a matrix of any element type, whose elements are converted and scaled. */
    int (*gather_converted)(const fml_matrix *X, const uint32_t *order, size_t rows, void *x, size_t x_row);
    /* y <- y scale + offset by column, the inverse of scaling; y: (rows, O). */
    void (*unscale)(void *y, size_t rows, size_t O, const fml_affine *scaling);
    /* t_i = one-hot encoding of labels[order[i]], or labels[i] if order is NULL; t: (rows, O). */
    void (*one_hot)(const int64_t *labels, const uint32_t *order, size_t rows, size_t O, void *t);

    /* -- blocks, or parts of them: n is a multiple of the reals of a cache line, except for first_not_finite -- */

    /* The index of the first of n elements that is NaN or infinite; n if all are finite. */
    size_t (*first_not_finite)(const void *x, size_t n);
    double (*dot)(const void *a, const void *b, size_t n); /* sum_i a_i b_i */
    /* out = s x + t y; out may be x or y. */
    void (*combine)(double s, const void *x, double t, const void *y, void *out, size_t n);
    double (*max_absolute)(const void *a, size_t n); /* max_i |a_i| */
    double (*sum_absolute)(const void *a, size_t n); /* sum_i |a_i| */
    /* Apply a shaping to n parameters p and their gradient g. */
    void (*shape)(const fml_shaping *shaping, void *p, void *g, size_t n);
    void (*interpolate)(void *a, const void *p, size_t n, double by); /* a <- a + by (p - a) */

    /* -- regularisation -- */

    /* Scale each row of w (rows, n) down to the Euclidean norm max_norm if its norm is larger. */
    void (*limit_rows)(void *w, size_t rows, size_t n, double max_norm);
    /* Dropout: y = x with elements set to 0 with probability `rate`, the others divided by 1 - rate; y may be x.
     * Both are (rows, n) with a row stride of `row` reals. The mask of an element is a function of the seed, its
     * column and the number of its row, where the first row has the number first_row. */
    void (*drop)(const void *x, void *y, size_t rows, size_t row, size_t n, uint64_t seed, size_t first_row,
                 double rate);
    /* x <- x + normally distributed noise of the given standard deviation; x: as for `drop`. The noise of an element
     * is a function of the two seeds, its column and the number of its row. */
    void (*add_noise)(void *x, size_t rows, size_t row, size_t n, const uint64_t seeds[2], size_t first_row,
                      double deviation);

    /* -- classes -- */

    /* classes[i] = argmax of row i of y, the lowest index on a tie; if O is 1, whether y_i > threshold; -1 if the
     * row has a NaN. */
    void (*classify)(const void *y, size_t rows, size_t O, double threshold, int64_t *classes);
    /* Like classify, for y = softmax(z) by row. z may be overwritten; O is at least 2. */
    void (*classify_softmax)(void *z, size_t rows, size_t O, int64_t *classes);
} fml_kernels;

/* The kernels for the i-th ISA among those that this build has and this processor runs, best first; NULL after the
 * last. */
const fml_kernels *fml_kernels_of(size_t i, fml_dtype dtype);
/* The best engine of that name that this processor runs; NULL if there is none. An engine whose weight_gradient is NULL
 * can only predict: it has none of the functions that only gradients and training need. */
const fml_engine *fml_find_engine(const fml_kernels *kernels, const char *name);

/* -- the network: shapes, and which kernels, engine, activations and loss it uses -------------------------------- */

/* A step of the row program (see row_program.c), which computes n_layers layers, from `layer` on, for one row: y is
 * that of the last of them. Unless is_last, y is padded to whole cache lines, which may be overwritten. x and y are
 * different memory. */
typedef struct fml_layer fml_layer;
typedef struct {
    void (*run)(const fml_network *net, const fml_layer *layer, const void *block, const void *x, void *y);
    int n_layers, is_last;
} fml_row_step;

struct fml_layer {
    size_t n_inputs, n_outputs;
    const fml_activation *activation;
    double hyper_parameters[FML_MAX_HYPER_PARAMETERS];
    size_t weights, biases; /* their offsets in a block, in reals; multiples of a cache line */
    fml_row_step row;       /* the step of the row program that begins with this layer */
};

struct fml_network {
    const fml_kernels *kernels;
    const fml_engine *engine;
    const fml_loss *loss;
    const double *loss_hyper_parameters;
    size_t n_loss_hyper_parameters;
    fml_own_loss own_loss; /* the custom loss, with which n_threads must be 1; or NULL */
    void *own_loss_context;
    size_t n_targets; /* length of a row's target: O of the last layer, divided by the number of heads of the loss */
    size_t n_layers;
    fml_layer *layers;
    size_t n_parameters;  /* length of P */
    size_t multiply_adds; /* of a forward pass of one row */
    size_t widest;        /* the largest number of inputs or outputs of a layer */
    size_t n_packed;      /* length of a block, including padding, which is 0 and stays 0 */
    size_t n_threads;     /* the maximum number of threads of a pass, the caller's included; 0 means 1 */
    size_t row_buffer;    /* bytes of each of the two buffers that steps of the row program write to in turn */
};

enum { FML_MAX_TILE_ROWS = 256 };

/* Some of the weights of a layer: from the inputs begin ... end - 1 to the outputs first ... last - 1. Both ranges
 * begin at multiples of the reals of a cache line, and end at one or at the layer's end. Without forward_outputs, an
 * engine is given all outputs. */
typedef struct {
    size_t begin, end, first, last;
} fml_share;

struct fml_engine {
    const char *name;
    size_t tile_rows;     /* maximum number of rows that pass through all layers together, at most FML_MAX_TILE_ROWS */
    size_t gradient_rows; /* rows over which one call of weight_gradient sums, about; a multiple of tile_rows */
    int takes_threads;    /* whether its functions may run on several threads at once */
    int odd_rows;         /* whether training should avoid row strides that are a power of two */
    size_t (*packed_weights)(size_t I, size_t O); /* reals that the weights of a layer take in a block */
    /* Copy w (O, I) and b (O,) of layer l into a block, or out of it. */
    void (*pack)(const fml_network *net, size_t l, const void *w, const void *b, void *block);
    void (*unpack)(const fml_network *net, size_t l, const void *block, void *w, void *b);
    /* z = x w^T + b and y = f(z) for 1 <= rows <= tile_rows; z or y is NULL if it is not needed. x: (rows, I) with the
     * row stride x_row; z, y: (rows, O) with the row stride y_row, whose padding may be overwritten. ahead: whether to
     * prefetch the next `rows` rows in memory, which will be read next. */
    void (*forward_layer)(const fml_network *net, size_t l, const void *block, const void *x, size_t x_row, size_t rows,
                          void *z, void *y, size_t y_row, int ahead);
    /* The step of the row program that begins with layer l, with the bits of forward_layer. NULL, or NULL as the
     * step's function, if forward_layer is to be called. is_last need not be set. */
    fml_row_step (*row_step)(const fml_network *net, size_t l);
    /* z and y as by forward_layer, with the same bits, for the outputs begin ... end - 1 only, and for any number of
     * rows; begin is a multiple of the reals of a cache line. NULL if there is no such function. */
    void (*forward_outputs)(const fml_network *net, size_t l, const void *block, const void *x, size_t x_row,
                            size_t rows, void *z, void *y, size_t y_row, size_t begin, size_t end);
    /* Copy the weights of layer l and the inputs begin ... end - 1 to `prepared`, in the layout that input_gradient
     * reads; begin is a multiple of the reals of a cache line. NULL if input_gradient reads the block. */
    void (*prepare)(const fml_network *net, size_t l, const void *block, void *prepared, size_t begin, size_t end);
    size_t (*prepared_size)(size_t I, size_t O); /* in reals */
    /* dx = dz w for 1 <= rows <= tile_rows. */
    void (*input_gradient)(const fml_network *net, size_t l, const void *block, const void *prepared, const void *dz,
                           size_t dz_row, size_t rows, void *dx, size_t dx_row);
    /* dx as by input_gradient, with the same bits, for the inputs begin ... end - 1 only, and for any number of rows.
     * Both may be NULL together with forward_outputs. */
    void (*gradient_of_inputs)(const fml_network *net, size_t l, const void *block, const void *prepared,
                               const void *dz, size_t dz_row, size_t rows, void *dx, size_t dx_row, size_t begin,
                               size_t end);
    /* Copy dz (rows, O) of the rows first ... first + rows - 1 into `delta`, which holds dz of all_rows rows in the
     * layout that weight_gradient reads. NULL if that layout is (all_rows, O). With forward_outputs, the layout is
     * panels of a cache line's outputs, each for all_rows rows, so that outputs can be copied a share at a time. */
    void (*keep_delta)(const void *dz, size_t dz_row, size_t first, size_t rows, size_t all_rows, size_t O,
                       void *delta);
    size_t (*delta_size)(size_t rows, size_t O); /* in reals */
    /* dw = [dw +] dz^T x for a share of the weights, and if its first input is 0 also db = [db +] the sum of the rows
     * of dz for its outputs, both in pass->gradient. With an update, the step is applied to pass->block instead, and
     * pass->gradient is only read (to accumulate). scratch: gradient_scratch reals, for the calling thread alone.
     * ahead: rows to prefetch, or NULL. */
    void (*weight_gradient)(const fml_pass *pass, size_t l, const void *x, size_t x_row, const void *delta, size_t rows,
                            int accumulate, const fml_update *update, const fml_share *share, void *scratch,
                            const fml_ahead *ahead);
    size_t (*gradient_scratch)(size_t I, size_t O); /* in reals; NULL if weight_gradient takes no update */
    /* Scale the weights into each output of layer l down to the Euclidean norm max_norm if their norm is larger. */
    void (*limit_norms)(const fml_network *net, size_t l, void *block, double max_norm);
};

/* Compute n_parameters, widest, n_packed, the layers' offsets and the row program from the shapes and activations;
 * kernels, engine and layers must be set. */
void fml_network_lay_out(fml_network *net);
/* Copy P, the n_parameters reals w1, b1, w2, b2, ..., into a block, or out of it. */
void fml_network_pack(const fml_network *net, const void *P, void *block);
void fml_network_unpack(const fml_network *net, const void *block, void *P);

/* -- data -------------------------------------------------------------------------------------------------------- */

/* The scaling of inputs and targets before they enter the network; predictions are scaled back. */
typedef struct {
    fml_affine inputs, targets;
} fml_scaling;

typedef struct {
    const void *x; /* (n_rows, I) or as many rows as x_rows refers to; or the elements of sparse rows, see fml_matrix */
    fml_element element;
    size_t x_row;          /* stride of dense rows in elements; 0: I */
    const int64_t *begins; /* of sparse rows, see fml_matrix: (n_rows + 1,); NULL: dense */
    const int32_t *columns;
    const uint32_t *x_rows;     /* (n_rows,): the row of x that has the inputs of each row; NULL: its own index */
    const fml_scaling *scaling; /* NULL: none */
    size_t n_rows;              /* below 2^32 */
    fml_element values_element;
    const void *values;    /* targets (n_rows, n_targets), or NULL */
    const int64_t *labels; /* class labels (n_rows,), or NULL */
    const double *weights; /* (n_rows,), finite and not negative; NULL if each row has the weight 1 */
} fml_data;

/* -- passes through the network; a workspace belongs to one call at a time --------------------------------------- */

/* Bytes of workspace for predictions of `rows` rows. */
size_t fml_forward_workspace(const fml_network *net, size_t rows);
/* Bytes of workspace for fml_gradient on up to `rows` rows without regularisation, on a thread with the same limit of
 * threads (fml_limit_threads); a pass over one row does not depend on that limit. */
size_t fml_gradient_workspace(const fml_network *net, size_t rows, int with_dx);

/* Compute all layers for all rows of data: z[l] and y[l] (n_rows, O_l), and output (n_rows, O), the last y scaled
 * back to the unit of the targets. z, y, each of their elements, and output may be NULL. */
void fml_forward(const fml_network *net, const void *block, const fml_data *data, void *const *z, void *const *y,
                 void *output, void *workspace);
/* The predicted class of every row, as the kernel `classify` finds it from the output. */
void fml_classify(const fml_network *net, const void *block, const fml_data *data, int64_t *classes, void *workspace);
/* fml_forward for one row x (I,) of reals, with the same bits: writes y (O,). Needs fml_row_workspace bytes. */
void fml_forward_row(const fml_network *net, const void *block, const void *x, void *y, void *workspace);
size_t fml_row_workspace(const fml_network *net);
/* The callback that can stop a long pass: `stop`, unless it is NULL, is called between tiles about every `interval`
 * seconds; a nonzero result stops the pass. */
typedef struct {
    int (*stop)(void *context);
    void *context;
    double interval, last; /* last: fml_seconds() of the last call */
    size_t work;           /* multiply-adds since the clock was last read; starts at 0 */
} fml_poll;

/* Writes the outputs (n_networks, n_rows, O) of networks that differ in their parameters P (n_networks, n_parameters)
 * alone. All of them get the same n_rows rows of data; if has_own_rows is set, network k gets rows k * n_rows ...
 * (k + 1) * n_rows - 1 of dense inputs. The bits are those of fml_forward. */
size_t fml_population_workspace(const fml_network *net, size_t n_networks, size_t rows);
fml_status fml_forward_population(const fml_network *net, const void *P, size_t n_networks, const fml_data *data,
                                  int has_own_rows, void *output, fml_poll *poll, void *workspace);
/* *loss = the sum over the rows of weight * loss; *right = the sum of the weights of the rows whose predicted class
 * is that of the target. */
fml_status fml_evaluate(const fml_network *net, const void *block, const fml_data *data, double *loss, double *right,
                        fml_poll *poll, void *workspace);

/* The regularisation of a training. A term that is not used is 0, NULL or, if it is a limit, INFINITY. */
typedef struct {
    double l1, l2;       /* the penalty l1 sum |w| + l2 / 2 sum w^2 over all weights, added to a batch's mean loss */
    int per_row;         /* whether the penalty is divided by the total weight of the batch */
    double weight_decay; /* w <- w - r weight_decay w before each step, where r is its learning rate */
    double clip_value;   /* clip each element of the gradient to [-clip_value, clip_value], */
    double clip_norm;    /* and then scale the gradient down to this norm if its norm is larger */
    double max_norm;     /* after each step, scale the weights into a unit down to this norm if theirs is larger */
    double input_noise, input_dropout; /* standard deviation; rate */
    const double *dropout;             /* the rate for the outputs of each hidden layer */
    uint64_t key;  /* the seed: noise and masks are a function of key, step, row of the batch, and unit */
    void *average; /* a block: the exponential moving average of the parameters, */
    double decay;  /* average <- decay average + (1 - decay) p after each step; at the first step average = p */
} fml_regularization;

/* A backward pass over the rows order[0 ... rows - 1] of data, or the rows 0 ... rows - 1 if order is NULL. */
struct fml_pass {
    const fml_network *net;
    void *block; /* the parameters; only `update` changes them */
    const fml_data *data;
    const uint32_t *order;
    size_t rows;
    double weight;            /* fml_total_weight of the batch, of which these rows are all or a part */
    void *gradient;           /* a block: the gradient of (the sum of w_i l_i over these rows) / weight */
    void *dx;                 /* (rows, I): that gradient with respect to x; or NULL */
    const fml_update *update; /* a step to apply to each part of the gradient once it is computed; NULL: none */
    size_t n_next;            /* number of rows that follow in `order` and will be needed next: they are prefetched */
    fml_poll *poll;
    void *workspace;
    const fml_regularization *regularization; /* whose noise and dropout are applied; NULL: none */
    uint64_t n_steps;                         /* number of steps taken so far, on which noise and dropout depend */
    int *suspect;                             /* set to 1 if computed values may be NaN or infinite; NULL: not wanted */
};

/* The sum of the weights of the rows order[0 ... rows - 1] of data, or 0 ... rows - 1 if order is NULL. */
double fml_total_weight(const fml_data *data, const uint32_t *order, size_t rows);
/* How fml_gradient divides a batch: into n_rounds rounds of n_parts parts each, see gradient.c. */
typedef struct {
    size_t n_rounds, n_parts, n_threads;
} fml_division;

fml_division fml_division_of(const fml_network *net, size_t rows);
/* Whether a pass over that many rows may have an update. */
int fml_updates_in_pass(const fml_network *net, size_t rows);
/* Compute the gradient, and *loss = the sum of w_i l_i over the rows; both are 0 if the weight is 0. Unless the
 * result is FML_OK, nothing but gradient, dx and workspace has changed. */
fml_status fml_gradient(const fml_pass *pass, double *loss);

/* The order of an epoch by blocks, for data larger than memory: the blocks of consecutive rows are shuffled, and so
 * are the rows within each window of FML_WINDOW_BLOCKS shuffled blocks. Only a part of the order is in memory at a
 * time. */
enum { FML_BLOCK_NUMBERS = 1 << 16, FML_WINDOW_BLOCKS = 64 };
typedef struct {
    size_t n_rows, block_rows; /* rows in all; rows of a block, of which the last has what is left */
    uint32_t *blocks;          /* the shuffled indices of the blocks */
    size_t short_at;           /* where the index of the last block is in `blocks` */
    uint64_t windows;          /* seed of the generators of the windows */
    uint32_t *rows;            /* elements first ... first + n - 1 of the order: indices of rows */
    size_t first, n;
} fml_block_order;

size_t fml_block_rows(size_t n_inputs); /* rows of a block */
/* Bytes of memory that fml_block_order_begin needs, for batches of at most batch_rows rows. */
size_t fml_block_order_size(size_t n_rows, size_t block_rows, size_t batch_rows);
void fml_block_order_begin(fml_block_order *order, size_t n_rows, size_t block_rows, void *memory);
/* Draw the order of a new epoch. */
void fml_block_order_draw(fml_block_order *order, uint64_t *random);
/* Generate the elements first ... end - 1 of the order, one batch, into order->rows unless they are there. */
void fml_block_order_reach(fml_block_order *order, size_t first, size_t end);
/* Ask the operating system to read ahead the blocks of the window that follows those in order->rows. x: the data in
 * a memory-mapped file, row_bytes per row. */
void fml_block_order_advise(const fml_block_order *order, const void *x, size_t row_bytes);

/* -- training ---------------------------------------------------------------------------------------------------- */

/* A schedule: the learning rate as a function of the number of steps taken before. */
typedef struct {
    const char *name;
    double (*rate)(const double *h, uint64_t n_steps); /* h: the hyper-parameters of the schedule */
} fml_schedule;

extern const fml_schedule fml_schedules[]; /* ends with a row whose name is NULL */

typedef struct {
    const fml_network *net;
    const fml_optimizer *optimizer;
    double hyper_parameters[FML_MAX_HYPER_PARAMETERS]; /* of the optimiser; [0] is the learning rate */
    void *block, *gradient;                            /* blocks: the parameters, their gradient */
    void *states[FML_MAX_STATES];                      /* blocks: the optimiser's state vectors */
    uint64_t n_steps, random;                          /* steps taken so far; state of the random generator */
    double scalars[FML_MAX_SCALARS];                   /* the scalars of the last step, see fml_optimizer */
    const fml_schedule *schedule;                      /* gives the learning rate of each step; NULL: it is constant */
    double schedule_parameters[FML_MAX_HYPER_PARAMETERS];
    const double *rates; /* if there is no schedule: the learning rates of the steps first_rate, ...; NULL: constant */
    uint64_t first_rate;
    void *method_state;                       /* the state of the optimiser's whole-batch method, or NULL */
    const fml_regularization *regularization; /* NULL: none; for a whole-batch method only l2 and per_row */
    int suspect; /* set to 1 by a step after which parameters or states may be NaN or infinite; no step clears it */
} fml_trainer;

/* The training state that belongs to the published parameters (those that readers see): with both, a trainer can be
 * rolled back to the moment of publication. */
typedef struct {
    void *states;     /* blocks: the optimiser's state vectors, one after another */
    void *unaveraged; /* the parameters themselves, if the published ones are an average; else NULL */
    double scalars[FML_MAX_SCALARS];
    uint64_t n_steps;
} fml_published_state;

/* Allocate the memory of a trainer whose net, optimizer and hyper_parameters are set and whose other members are 0,
 * and copy `parameters`, a block, into it. Returns 0 if there is not enough memory; fml_trainer_free must be called
 * in any case. */
int fml_trainer_allocate(fml_trainer *trainer, fml_published_state *published, const void *parameters);
/* Let the trainer keep a moving average of the parameters: sets its regularisation to `terms` and terms->average to
 * a new block. Returns 0 if there is not enough memory. */
int fml_trainer_allocate_average(fml_trainer *trainer, fml_published_state *published, fml_regularization *terms);
void fml_trainer_free(fml_trainer *trainer, fml_published_state *published);
/* Free the memory that steps work in, while everything is published; nothing is freed where the published state is not
 * all of the state (whole-batch methods, averages). Before the next step, fml_trainer_regain must allocate it again,
 * with the published parameters and state; it returns 0 if there is not enough memory. */
void fml_trainer_release(fml_trainer *trainer);
int fml_trainer_is_released(const fml_trainer *trainer);
int fml_trainer_regain(fml_trainer *trainer, const fml_published_state *published, const void *block);

/* The block of parameters that readers should see: the average if one is kept, else the parameters. */
void *fml_trainer_visible(const fml_trainer *trainer);
/* Copy the visible parameters to `block`, and the state that belongs to them to `published`. */
void fml_trainer_publish(const fml_trainer *trainer, fml_published_state *published, void *block);
/* Restore parameters and state of the last fml_trainer_publish, which wrote to `block` and `published`. */
void fml_trainer_roll_back(fml_trainer *trainer, const fml_published_state *published, const void *block);
/* Must be called before a step whose data or parameters are not those of the step before. */
void fml_trainer_data_changed(fml_trainer *trainer);
/* Must be called after fml_trainer_roll_back if the thread that was taking a step has vanished, as in a forked
 * child: discards what the step may have left half written. net: the network to continue with. */
void fml_trainer_abandon(fml_trainer *trainer, const fml_network *net);

/* What a checkpoint stores beside fml_trainer_visible and n_steps: n_vectors blocks, and n_numbers numbers. The
 * numbers are the scalars of an optimiser that takes gradient steps, or those that a whole-batch method defines. To
 * import, call fml_trainer_import_numbers, which makes room for n_vectors vectors, and then write each vector to the
 * block that fml_trainer_vector returns. import_numbers returns 0, and changes nothing, if no state of this trainer
 * has such numbers or so many vectors. */
size_t fml_trainer_n_vectors(const fml_trainer *trainer);
void *fml_trainer_vector(const fml_trainer *trainer, size_t k);
size_t fml_trainer_n_numbers(const fml_trainer *trainer);
void fml_trainer_export_numbers(const fml_trainer *trainer, double *numbers);
int fml_trainer_import_numbers(fml_trainer *trainer, size_t n_vectors, size_t n_numbers, const double *numbers);

/* Bytes of workspace for steps of at most `rows` rows. */
size_t fml_training_workspace(const fml_trainer *trainer, size_t rows);

/* Take one optimiser step on the rows order[0 ... rows - 1], or the first `rows` if order is NULL; n_next more rows
 * of the order will follow. *loss: the sum over the rows of weight * loss before the step. Nothing is changed unless
 * the result is FML_OK, nor if all the rows' weights are 0. */
fml_status fml_train_step(fml_trainer *trainer, const fml_data *data, const uint32_t *order, size_t rows, size_t n_next,
                          double *loss, fml_poll *poll, void *workspace);
/* Take the steps of a part of an epoch: those of the mini-batches that begin at row *first, a multiple of
 * batch_size, or later, and before row `end`. order: (n_rows,), or NULL for the rows in their own order. *first is
 * advanced to the row after the last completed step, and *loss is increased by the losses of the completed steps,
 * each as in fml_train_step. An epoch in several parts gives the same bits as in one. */
fml_status fml_train_rows(fml_trainer *trainer, const fml_data *data, size_t batch_size, const uint32_t *order,
                          size_t *first, size_t end, double *loss, fml_poll *poll, void *workspace);
/* Like fml_train_rows, in an order by blocks that fml_block_order_draw has drawn; advise: whether the rows are in a
 * memory-mapped file, which should be read ahead. */
fml_status fml_train_blocks(fml_trainer *trainer, const fml_data *data, size_t batch_size, fml_block_order *order,
                            int advise, size_t *first, size_t end, double *loss, fml_poll *poll, void *workspace);
/* Train one whole epoch. order: memory of n_rows elements, into which a random order is drawn, or NULL for the rows
 * in their own order. *loss: the sum of the losses of the steps, as in fml_train_rows. */
fml_status fml_train_epoch(fml_trainer *trainer, const fml_data *data, size_t batch_size, uint32_t *order, double *loss,
                           fml_poll *poll, void *workspace);

/* -- threads ----------------------------------------------------------------------------------------------------- */

/* The number of threads that this process may run at once, at least 1: the minimum of what the affinity mask of the
 * calling thread allows, and the CPU quota of its cgroup (version 1 or 2), which is read once. */
size_t fml_usable_threads(void);
/* The number of threads that CPU quotas allow, rounded up, or SIZE_MAX if there is no quota. membership: a file such
 * as /proc/self/cgroup, which names the cgroups; mount: a folder such as /sys/fs/cgroup, under which their trees
 * are. */
size_t fml_quota_threads(const char *membership, const char *mount);
/* Limit the threads of each pass that the calling thread begins to n, its own included; 0: no limit but that of the
 * network. fml_thread_limit returns n, or SIZE_MAX if there is no limit. */
void fml_limit_threads(size_t n);
size_t fml_thread_limit(void);
/* Run task(context, i) once for each 0 <= i < n, on at most min(n, 256) threads including the caller's, and return
 * when all are done. Tasks must not wait for one another: if the pool is busy with another job, cannot start a
 * thread, or does not exist on this platform, the caller runs all tasks itself, in order; a call of fml_parallel
 * from within a task always does so. A task runs in the caller's floating-point mode, must leave it unchanged, and
 * must not fork. The first call with n > 1 starts the threads. */
void fml_parallel(size_t n, void (*task)(void *context, size_t i), void *context);

/* -- random numbers (SplitMix64), memory, time ------------------------------------------------------------------- */

uint64_t fml_random_next(uint64_t *state);
/* The n-th result, counted from 0, of fml_random_next on a state that starts as the seed. */
uint64_t fml_random_at(uint64_t seed, uint64_t n);
double fml_random_uniform(uint64_t *state);                        /* in [0, 1) */
double fml_random_normal(uint64_t *state);                         /* of mean 0 and variance 1 */
uint64_t fml_random_below(uint64_t *state, uint64_t n);            /* in 0 ... n - 1 */
void fml_random_order(uint64_t *state, uint32_t *order, size_t n); /* a permutation, by Fisher-Yates */

void *fml_allocate(size_t bytes); /* zeroed and aligned to FML_ALIGNMENT; NULL if there is not enough memory */
void fml_free(void *memory);      /* frees what fml_allocate returned; NULL is ignored */
void fml_advise(const void *memory, size_t bytes); /* starts to read ahead memory that is mapped to a file */
double fml_seconds(void);                          /* the time of a monotonic clock */
int fml_plant_error(void); /* in sanitizer builds, makes an error that the sanitizer must report; else does nothing */

#endif
