/* The contract of the C core: tables, network, engine, data, trainer.
 *
 * The core knows neither Python nor BLAS. It never fails half-way: callers check every argument first, kernels
 * return void, and what can go wrong inside an epoch comes back as an fml_status. Kernels allocate nothing; all
 * memory is given by the caller, in blocks that fml_allocate aligns.
 *
 * Legend, as everywhere in fastmlp: B batch rows, I inputs and O outputs of a layer, L layers, x input (B,I),
 * w weights (O,I), b bias (O,), z = x w^T + b, y = f(z), t target, gradients dx dw db dz dy.
 * All matrices are row-major and dense; REAL is float or double, as the network's kernel table says, and reaches
 * these functions as void. Pointers may alias only where a comment says so. */
#ifndef FML_CORE_H
#define FML_CORE_H

#include <stddef.h>
#include <stdint.h>

#undef I /* complex.h's; here it counts inputs */

enum { FML_MAX_HYPER_PARAMETERS = 8, FML_MAX_SCALARS = 8, FML_MAX_STATES = 3, FML_ALIGNMENT = 64 };

typedef enum { FML_F32, FML_F64 } fml_dtype;
typedef enum { FML_OK, FML_STOPPED, FML_INPUT_NOT_FINITE, FML_LOSS_NOT_FINITE } fml_status;

/* -- kernel tables ----------------------------------------------------------------------------------------------- */

/* One row per activation, loss and optimiser; a row with a NULL name ends a table. A row stands at the same index in
 * the tables of every ISA and dtype, and the core finds rows by index or pointer alone: names are for the callers, who
 * read them from the tables. */

typedef struct {
    const char *name;
    int reads_z; /* backward needs z; otherwise z may be NULL and f' is taken from y */
    /* y = f(z) for (rows, O) elements; y may be z. h: the hyper-parameters. A layer may have fewer outputs than O: what
     * then lies between its rows is anything. */
    void (*forward)(const void *z, void *y, size_t rows, size_t O, const double *h);
    /* dz = dy * f'(z) for as many; dz may be dy. NULL where only a loss knows the gradient (softmax). */
    void (*backward)(const void *z, const void *y, const void *dy, void *dz, size_t rows, size_t O, const double *h);
    int whole_tiles; /* a call costs so much that it should be for all rows of a tile at once */
    int is_softmax;  /* classes can be told from z alone, see classify_softmax */
} fml_activation;

typedef struct fml_network fml_network;

/* Rows whose loss is asked for. */
typedef struct {
    const fml_network *net; /* the sizes, and the hyper-parameters of the loss and of the output activation */
    const void *output;     /* (rows, O): y or z of the last layer */
    const void *t;          /* (rows, n_targets) */
    const double *weights;  /* (rows,), or NULL where each counts 1 */
    void *d;                /* NULL, or (rows, O): becomes scale * the gradient; may be output */
    size_t rows;
    double scale;
} fml_loss_rows;

typedef struct {
    const char *name;
    int from_z; /* takes z and yields the gradient with respect to z; otherwise both with respect to y */
    /* The sum over the rows of the loss of a row, and d = scale * the gradient of that sum; without weights. NULL for
     * the loss that the network brings along. */
    double (*value_and_gradient)(const fml_loss_rows *rows);
    double threshold; /* a single output above it stands for class 1 */
} fml_loss;

/* A loss that the caller brings along: the weighted sum over the rows, and d. It is called on the thread and in the
 * floating-point mode of the pass's caller; what it returns after a failure is NaN, which ends the pass. */
typedef double (*fml_own_loss)(void *context, const fml_loss_rows *rows);

typedef struct fml_method fml_method; /* see method.h */

typedef struct {
    const char *name;
    int n_states; /* vectors of n reals that the optimiser keeps; they start at 0 */
    /* What all parameters share at step t = 1, 2, ...; h: the hyper-parameters. The scalars hold those of step t - 1.
     */
    void (*prepare)(const double *h, uint64_t t, double *scalars);
    /* p <- p - update(g) for n parameters, each by itself: any piece of a block may be updated when its g is there. */
    void (*step)(void *p, const void *g, void *const *states, size_t n, const double *scalars);
    /* The r of an update that is p - r g alone, which an engine may apply itself; 0 for any other, or NULL. */
    double (*plain_rate)(const double *h);
    /* NULL, or the whole-batch method that the optimiser is; it has none of the above then. */
    const fml_method *method;
} fml_optimizer;

/* What regularisation does to n elements of a gradient g and to their parameters p before the optimiser's step:
 * g <- scale * (g + l1 sign(p) + l2 p, clipped to [-limit, limit]), p <- kept * p. */
typedef struct {
    double l1, l2, limit, scale, kept;
} fml_shaping;

/* An optimiser's step, at the moment that it is taken. */
typedef struct {
    const fml_optimizer *optimizer;
    void *const *states;
    double scalars[FML_MAX_SCALARS];
    double rate;                /* the optimiser's plain rate; 0 if it has none */
    const fml_shaping *shaping; /* of weights [0] and of biases [1]; NULL: none */
} fml_update;

typedef struct fml_engine fml_engine;
typedef struct fml_pass fml_pass;

/* What the elements of a matrix are: the network's reals, or others, at face value. */
typedef enum { FML_REAL, FML_UINT8, FML_FLOAT16, FML_FLOAT32, FML_FLOAT64 } fml_element;

/* By column, x = (X - offset) / scale; NULL: as it is. */
typedef struct {
    const double *offset, *scale;
} fml_affine;

/* Rows of any kind, dense or sparse, and how their columns are scaled. */
typedef struct {
    const void *elements; /* (., n_columns), or the elements of sparse rows one after another */
    fml_element element;
    size_t n_columns, row; /* row: elements from one dense row to the next; 0: n_columns */
    const int64_t *begins; /* NULL, or where sparse row i begins, its end at i + 1, in elements and columns */
    /* Of each element of sparse rows; what is no column is left out. Elements of one column add up, but scaled rows
     * have a column once at most. */
    const int32_t *columns;
    fml_affine scaling;
} fml_matrix;

/* Rows of data that will be wanted soon: those of `order`, n of them, each row_bytes long. */
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
    const fml_engine *native; /* the engine whose kernels are this table's */
    /* z_i = z_i + b for every row i; z: (rows, O), b: (O,). */
    void (*add_bias)(const void *b, void *z, size_t rows, size_t O);
    /* sums = [sums +] the sum of the rows of d; d: (rows, O), sums: (O,). */
    void (*sum_rows)(const void *d, void *sums, size_t rows, size_t O, int accumulate);
    /* x_i = X[order[i]], or X[i] where order is NULL; X: (., I), x: (rows, I), x_row reals from row to row. Returns 1
     * if all are finite. */
    int (*gather)(const void *X, const uint32_t *order, size_t rows, size_t I, void *x, size_t x_row);
    /* Like gather, from rows of any kind, which are scaled. */
    int (*gather_from)(const fml_matrix *X, const uint32_t *order, size_t rows, void *x, size_t x_row);
    /* y = y scale + offset by column; y: (rows, O). */
    void (*unscale)(void *y, size_t rows, size_t O, const fml_affine *scaling);
    /* t_i = one-hot of labels[order[i]]; t: (rows, O). */
    void (*one_hot)(const int64_t *labels, const uint32_t *order, size_t rows, size_t O, void *t);
    /* The index of the first of n elements that is NaN or infinite; n if there is none. */
    size_t (*first_not_finite)(const void *x, size_t n);
    /* Of whole blocks: sum_i a_i b_i; out = s x + t y, where out may be x or y; max_i |a_i|. */
    double (*dot)(const void *a, const void *b, size_t n);
    void (*combine)(double s, const void *x, double t, const void *y, void *out, size_t n);
    double (*largest)(const void *a, size_t n);
    /* Of whole blocks: sum_i |a_i|; what an fml_shaping says; a <- a + by (p - a). */
    double (*sum_absolute)(const void *a, size_t n);
    void (*shape)(const fml_shaping *shaping, void *p, void *g, size_t n);
    void (*approach)(void *a, const void *p, size_t n, double by);
    /* Each row of w (rows, n) is scaled to at most the length `max_norm`. */
    void (*limit_rows)(void *w, size_t rows, size_t n, double max_norm);
    /* Dropout of x into y, which may be x, and noise onto x: (rows, n), `row` reals from row to row. What is drawn for
     * an element follows from the seed (of noise: two), its column and its row's number, counted from first_row. */
    void (*drop)(const void *x, void *y, size_t rows, size_t row, size_t n, uint64_t seed, size_t first_row,
                 double rate);
    void (*add_noise)(void *x, size_t rows, size_t row, size_t n, const uint64_t seeds[2], size_t first_row,
                      double deviation);
    /* classes[i] = the lowest index of the largest of row i; where O is 1, whether it is above the threshold; -1 where
     * there is a NaN. */
    void (*classify)(const void *y, size_t rows, size_t O, double threshold, int64_t *classes);
    /* Like classify, for softmax(z) of each row. z may be overwritten; O is at least 2. */
    void (*classify_softmax)(void *z, size_t rows, size_t O, int64_t *classes);
} fml_kernels;

/* The kernels of the i-th ISA that this build has and this processor runs, best first; NULL after the last. */
const fml_kernels *fml_kernels_of(size_t i, fml_dtype dtype);

/* -- network: shapes and tables; the parameters are a block of n_packed reals in the engine's own layout --------- */

typedef struct {
    size_t n_inputs, n_outputs;
    const fml_activation *activation;
    double hyper_parameters[FML_MAX_HYPER_PARAMETERS];
    size_t weights, biases; /* where they begin in a block, in reals; multiples of a cache line */
} fml_layer;

struct fml_network {
    const fml_kernels *kernels;
    const fml_engine *engine;
    const fml_loss *loss;
    const double *loss_hyper_parameters;
    size_t n_loss_hyper_parameters;
    fml_own_loss own_loss; /* NULL, or the loss that is brought along; n_threads is 1 then */
    void *own_loss_context;
    size_t n_targets; /* numbers in the target of a row: O, or O over the heads of the loss */
    size_t n_layers;
    fml_layer *layers;
    size_t n_parameters; /* elements of P */
    size_t widest;       /* the largest number of elements in a row of any layer's input or output */
    size_t n_packed;     /* elements of a block, padding included; the padding is 0 and stays 0 */
    size_t n_threads;    /* as many as a pass may use, itself included; 0 counts as 1 */
};

struct fml_engine {
    const char *name;
    size_t tile_rows;     /* rows that go through all layers together */
    size_t gradient_rows; /* about so many rows' weight gradient is formed together, a multiple of tile_rows */
    int takes_threads;    /* whether its functions may run on several threads at once */
    int odd_rows;         /* whether rows that training keeps should not be a power of two apart */
    size_t (*packed_weights)(size_t I, size_t O); /* reals that a layer's weights take in a block */
    /* w (O,I) and b (O,) into and out of the block of a network. */
    void (*pack)(const fml_network *net, size_t l, const void *w, const void *b, void *block);
    void (*unpack)(const fml_network *net, size_t l, const void *block, void *w, void *b);
    /* z = x w^T + b and y = f(z) for 1 <= rows <= tile_rows; z or y NULL: not wanted. x: (rows,I), z, y: (rows,O);
     * x_row, y_row: reals from row to row. What lies between rows of z and y may be written. ahead: whether as many
     * rows as these, which will be wanted next, lie behind x. */
    void (*forward_layer)(const fml_network *net, size_t l, const void *block, const void *x, size_t x_row, size_t rows,
                          void *z, void *y, size_t y_row, int ahead);
    /* What input_gradient needs of a layer's weights, into `prepared`: that of the inputs begin ... end - 1, begin a
     * multiple of a cache line of reals. NULL: nothing. */
    void (*prepare)(const fml_network *net, size_t l, const void *block, void *prepared, size_t begin, size_t end);
    size_t (*prepared_size)(size_t I, size_t O); /* in reals */
    /* dx = dz w for 1 <= rows <= tile_rows. */
    void (*input_gradient)(const fml_network *net, size_t l, const void *block, const void *prepared, const void *dz,
                           size_t dz_row, size_t rows, void *dx, size_t dx_row);
    /* The rows dz of tile `first` ... into the delta that weight_gradient reads, of all_rows rows; NULL: a delta is dz,
     * (all_rows,O), itself. */
    void (*keep_delta)(const void *dz, size_t dz_row, size_t first, size_t rows, size_t all_rows, size_t O,
                       void *delta);
    size_t (*delta_size)(size_t rows, size_t O); /* in reals */
    /* dw = [dw +] dz^T x for the inputs begin ... end - 1 and all rows of a piece, and where begin is 0 also db = [db
     * +] the sum of dz; with an update the step by them, while the gradient stays as it is. scratch: gradient_scratch
     * reals, a thread's own. ahead: NULL, or memory to prefetch meanwhile. */
    void (*weight_gradient)(const fml_pass *pass, size_t l, const void *x, size_t x_row, const void *delta, size_t rows,
                            int accumulate, const fml_update *update, size_t begin, size_t end, void *scratch,
                            const fml_ahead *ahead);
    size_t (*gradient_scratch)(size_t I, size_t O);
    /* The weights into each output of layer l are scaled to at most the length `max_norm`. */
    void (*limit_norms)(const fml_network *net, size_t l, void *block, double max_norm);
};

/* Fills offsets and totals; the shapes, the activations, the tables and the engine are set. */
void fml_network_lay_out(fml_network *net);
/* P (w1, b1, w2, b2, ...; n_parameters reals) into and out of a block. */
void fml_network_pack(const fml_network *net, const void *P, void *block);
void fml_network_unpack(const fml_network *net, const void *block, void *P);

/* -- data -------------------------------------------------------------------------------------------------------- */

/* How inputs and targets are scaled before the network sees them; its predictions are scaled back. */
typedef struct {
    fml_affine inputs, targets;
} fml_scaling;

typedef struct {
    const void *x; /* (n_rows, I), or the elements of sparse rows, see fml_matrix */
    fml_element element;
    size_t x_row;          /* elements from one dense row to the next; 0: I */
    const int64_t *begins; /* of sparse rows (n_rows + 1,), or NULL */
    const int32_t *columns;
    const fml_scaling *scaling; /* NULL: none */
    size_t n_rows;              /* below 2^32 */
    fml_element values_element;
    const void *values;    /* targets (n_rows, n_targets), or NULL */
    const int64_t *labels; /* class labels (n_rows,), or NULL */
    const double *weights; /* (n_rows,), finite and not negative, or NULL where each row counts 1 */
} fml_data;

/* -- passes through the network; a workspace belongs to one call at a time --------------------------------------- */

/* Bytes of workspace for predictions, and for gradients (training: without dx), of `rows` rows. */
size_t fml_forward_workspace(const fml_network *net, size_t rows);
size_t fml_gradient_workspace(const fml_network *net, size_t rows, int with_dx);

/* All layers of all rows of data. z[l], y[l]: (n_rows, O_l), and output, the last y again, in the unit of the targets
 * where these are scaled; each may be NULL. */
void fml_forward(const fml_network *net, const void *block, const fml_data *data, void *const *z, void *const *y,
                 void *output, void *workspace);
/* The classes of all rows, as the kernel classify has them of the output. */
void fml_classify(const fml_network *net, const void *block, const fml_data *data, int64_t *classes, void *workspace);
/* fml_forward for one row of reals: x (I,), y (O,). It takes fml_row_workspace bytes, and the bits are the same. */
void fml_forward_row(const fml_network *net, const void *block, const void *x, void *y, void *workspace);
size_t fml_row_workspace(const fml_network *net);
/* How a long pass is interrupted: `stop`, unless NULL, is called every `interval` seconds between tiles; a result other
 * than 0 stops the pass. */
typedef struct {
    int (*stop)(void *context);
    void *context;
    double interval, last;
    size_t work; /* multiply-adds since the last look at the clock; starts at 0 */
} fml_poll;

/* The outputs of n_networks networks that differ in their parameters alone: P (n_networks, n_parameters), output
 * (n_networks, n_rows, O). All get the rows of data or, where they have rows of their own, network k gets the n_rows
 * rows from row k n_rows on, of dense inputs. The bits are those of fml_forward. */
size_t fml_population_workspace(const fml_network *net, size_t n_networks, size_t rows);
fml_status fml_forward_population(const fml_network *net, const void *P, size_t n_networks, const fml_data *data,
                                  int has_own_rows, void *output, fml_poll *poll, void *workspace);
/* The sum of the rows' weights times their losses, and the sum of the weights of those that have the right class. */
fml_status fml_evaluate(const fml_network *net, const void *block, const fml_data *data, double *loss, double *right,
                        fml_poll *poll, void *workspace);

/* What a trainer does beside following the gradient of the loss; 0, NULL or INFINITY where it does not. */
typedef struct {
    double l1, l2;       /* l1 sum |w| + l2 / 2 sum w^2 over all weights is added to the mean loss of a batch, */
    int per_row;         /* divided by the weight of the batch */
    double weight_decay; /* w <- w - r weight_decay w before each step, r its learning rate */
    double clip_value;   /* elements of the gradient are clipped to [-clip_value, clip_value], */
    double clip_norm;    /* and all of it is scaled to at most this length */
    double max_norm;     /* the weights into a unit are scaled to at most this length after each step */
    double input_noise, input_dropout; /* standard deviation; rate */
    const double *dropout;             /* the rates of the outputs of each hidden layer */
    uint64_t key;                      /* what is drawn follows from this, the step, the row of the batch, the unit */
    void *average;                     /* a block: a moving average of the parameters, which keeps */
    double decay;                      /* this share in each step but the first */
} fml_regularization;

/* A backward pass over the rows order[0 ... rows - 1] of data (the first `rows`, where order is NULL). */
struct fml_pass {
    const fml_network *net;
    void *block; /* changed only by update */
    const fml_data *data;
    const uint32_t *order;
    size_t rows;
    double weight;  /* of the batch: fml_total_weight of these rows, or of more where they are a share of it */
    void *gradient; /* a block: the gradient of the sum of w_i l_i over these rows, divided by that weight */
    void *dx;       /* (rows, I), that gradient with respect to x; or NULL */
    const fml_update *update; /* NULL, or a step to take while the gradient is formed, which is then not kept whole */
    size_t n_next;            /* so many rows of the order will be wanted after these, and may be fetched meanwhile */
    fml_poll *poll;
    void *workspace;
    const fml_regularization *regularization; /* NULL, or whose noise and dropout the rows get in step n_steps */
    uint64_t n_steps;
    int *suspect; /* NULL, or becomes 1 where what was computed may not be finite */
};

/* The sum of the weights of the rows order[0 ... rows - 1] of data (the first `rows`, where order is NULL). */
double fml_total_weight(const fml_data *data, const uint32_t *order, size_t rows);
/* Whether a step can be taken while the gradient is formed. */
int fml_updates_in_pass(const fml_network *net);
/* *loss: the sum over the rows of w_i l_i; where the weight is 0 it is 0, and so is the gradient. Nothing but the
 * gradient and dx is changed unless FML_OK. */
fml_status fml_gradient(const fml_pass *pass, double *loss);

/* The order of an epoch by blocks: blocks of rows in random order, and in each window of FML_WINDOW_BLOCKS of them the
 * rows in random order. Only what is at hand of it is kept. */
enum { FML_BLOCK_NUMBERS = 1 << 16, FML_WINDOW_BLOCKS = 64 };
typedef struct {
    size_t n_rows, block_rows; /* fewer in the last block */
    uint32_t *blocks;          /* their order */
    size_t short_at;           /* the place there of the last block */
    uint64_t windows;          /* what their generators begin with */
    uint32_t *rows;            /* those at hand: the order's rows first ... first + n - 1 */
    size_t first, n;
} fml_block_order;

size_t fml_block_rows(size_t n_inputs); /* rows of a block */
/* Bytes of memory for batches of up to so many rows; fml_block_order_begin takes it. */
size_t fml_block_order_size(size_t n_rows, size_t block_rows, size_t batch_rows);
void fml_block_order_begin(fml_block_order *order, size_t n_rows, size_t block_rows, void *memory);
/* A new epoch's order. */
void fml_block_order_draw(fml_block_order *order, uint64_t *random);
/* Has the rows first ... end - 1 of the order, one batch, at hand. */
void fml_block_order_reach(fml_block_order *order, size_t first, size_t end);
/* Asks the operating system for the blocks of the window after what is at hand; x: rows of row_bytes in a file that is
 * mapped into memory. */
void fml_block_order_advise(const fml_block_order *order, const void *x, size_t row_bytes);

/* -- training ---------------------------------------------------------------------------------------------------- */

/* How a learning rate follows from the number of steps that were taken before. */
typedef struct {
    const char *name;
    double (*rate)(const double *h, uint64_t n_steps); /* h: the hyper-parameters of the schedule */
} fml_schedule;

extern const fml_schedule fml_schedules[]; /* a row with a NULL name ends the table */

typedef struct {
    const fml_network *net;
    const fml_optimizer *optimizer;
    double hyper_parameters[FML_MAX_HYPER_PARAMETERS];
    void *block, *gradient;          /* n_packed reals each */
    void *states[FML_MAX_STATES];    /* n_packed reals each */
    uint64_t n_steps, random;        /* steps of the optimiser so far; the state of the generator */
    double scalars[FML_MAX_SCALARS]; /* those of the last step, of which an optimiser may carry some on */
    const fml_schedule *schedule;    /* of the learning rate, hyper-parameter 0; NULL: it stays as it is */
    double schedule_parameters[FML_MAX_HYPER_PARAMETERS];
    const double *rates; /* or, without a schedule, the learning rates of the steps first_rate, ... ; NULL: as it is */
    uint64_t first_rate;
    void *method_state;                       /* of the optimiser's whole-batch method; NULL where it has none */
    const fml_regularization *regularization; /* NULL: none; with a whole-batch method l2 and per_row alone */
    int suspect; /* becomes 1 where a step may have left something that is not finite; a step never makes it 0 */
} fml_trainer;

/* What belongs to the parameters that were last published: with both, a trainer can be taken back to that moment. */
typedef struct {
    void *states;     /* the optimiser's, n_packed reals each, one after another */
    void *unaveraged; /* the parameters that go with the average that was published; NULL where none is kept */
    double scalars[FML_MAX_SCALARS];
    uint64_t n_steps;
} fml_published_state;

/* Gives a trainer, whose net, optimizer and hyper_parameters are set and all else 0, the memory that it needs, and the
 * parameters to begin with. 0: there is not enough; fml_trainer_free frees what was allocated, in any case. */
int fml_trainer_allocate(fml_trainer *trainer, fml_published_state *published, const void *parameters);
/* Has it keep an average, for which it is given these terms of regularisation; 0: there is not enough memory. */
int fml_trainer_allocate_average(fml_trainer *trainer, fml_published_state *published, fml_regularization *terms);
void fml_trainer_free(fml_trainer *trainer, fml_published_state *published);

/* The parameters that readers are to see: the average, where one is kept. */
void *fml_trainer_visible(const fml_trainer *trainer);
/* Copies those to `block`, and keeps the state that goes with them. */
void fml_trainer_publish(const fml_trainer *trainer, fml_published_state *published, void *block);
/* Parameters and state become those of the last fml_trainer_publish, which was to `block`. */
void fml_trainer_roll_back(fml_trainer *trainer, const fml_published_state *published, const void *block);
/* The rows of the next step may be others than those of the last, or the parameters may. */
void fml_trainer_meet_data(fml_trainer *trainer);
/* After fml_trainer_roll_back: a step has ended anywhere in its middle, with the thread that took it. */
void fml_trainer_abandon(fml_trainer *trainer, const fml_network *net);

/* What a checkpoint keeps beside fml_trainer_visible and n_steps: vectors of n_packed reals, and numbers, which are the
 * scalars of an optimiser that takes gradient steps, or what its whole-batch method names. To import, first the numbers
 * are taken, which makes room for so many vectors (0: no state has such numbers, and nothing is changed), then each
 * vector is written to where it stands. */
size_t fml_trainer_n_vectors(const fml_trainer *trainer);
void *fml_trainer_vector(const fml_trainer *trainer, size_t k);
size_t fml_trainer_n_numbers(const fml_trainer *trainer);
void fml_trainer_export_numbers(const fml_trainer *trainer, double *numbers);
int fml_trainer_import_numbers(fml_trainer *trainer, size_t n_vectors, size_t n_numbers, const double *numbers);

/* Bytes of workspace for steps of up to so many rows. */
size_t fml_training_workspace(const fml_trainer *trainer, size_t rows);

/* One optimiser step on the rows order[0 ... rows - 1], with n_next more of the order to come; nothing is changed
 * unless FML_OK, nor where the weights of all the rows are 0. *loss: the weighted sum of their losses before it. */
fml_status fml_train_step(fml_trainer *trainer, const fml_data *data, const uint32_t *order, size_t rows, size_t n_next,
                          double *loss, fml_poll *poll, void *workspace);
/* A stretch of an epoch in batches of batch_size rows: those that begin at row *first (a multiple of batch_size) or
 * later and before row `end`; order: n_rows elements, or NULL for the rows as they stand. *first becomes the row that
 * is next, and *loss grows by the weighted sum over the rows of their batch's losses before its update; both count
 * whole steps. Stretches one after another have the bits of one. */
fml_status fml_train_rows(fml_trainer *trainer, const fml_data *data, size_t batch_size, const uint32_t *order,
                          size_t *first, size_t end, double *loss, fml_poll *poll, void *workspace);
/* Like fml_train_rows, in an order by blocks, which has been drawn; advise: whether its rows lie in a file that is
 * mapped. */
fml_status fml_train_blocks(fml_trainer *trainer, const fml_data *data, size_t batch_size, fml_block_order *order,
                            int advise, size_t *first, size_t end, double *loss, fml_poll *poll, void *workspace);
/* One epoch, whole; order: n_rows elements of scratch, into which a new order is drawn, or NULL. *loss: as above. */
fml_status fml_train_epoch(fml_trainer *trainer, const fml_data *data, size_t batch_size, uint32_t *order, double *loss,
                           fml_poll *poll, void *workspace);

/* -- threads ----------------------------------------------------------------------------------------------------- */

/* As many threads as this process may run: what the affinity mask of the calling thread and the cgroup's CPU quota (of
 * either version; read once) allow; at least 1. */
size_t fml_usable_threads(void);
/* What CPU quotas allow the cgroups that a file as /proc/self/cgroup names, in the trees below a mount point as
 * /sys/fs/cgroup, rounded up; SIZE_MAX where there is none. */
size_t fml_quota_threads(const char *membership, const char *mount);
/* Runs task(context, i) for 0 <= i < n, each once, on up to n threads, 256 at most, of which the caller is one; returns
 * when all are done. Tasks must not wait for one another: where the pool is busy with another caller's work, cannot
 * start a thread, or does not exist on this platform, the caller runs them all itself, in order. A task runs in the
 * caller's floating-point mode and leaves it as it was; it must not fork. What it may call fml_parallel for, it does
 * alone. The first call with n > 1 starts threads; none exists before. */
void fml_parallel(size_t n, void (*task)(void *context, size_t i), void *context);

/* -- random numbers (SplitMix64), memory, time ------------------------------------------------------------------- */

uint64_t fml_random_next(uint64_t *state);
uint64_t fml_random_at(uint64_t seed, uint64_t n); /* the n-th next, from 0 on, of the state that starts as the seed */
double fml_random_uniform(uint64_t *state);        /* [0, 1) */
double fml_random_normal(uint64_t *state);         /* N(0, 1) */
uint64_t fml_random_below(uint64_t *state, uint64_t n);            /* 0 ... n-1 */
void fml_random_order(uint64_t *state, uint32_t *order, size_t n); /* a permutation, by Fisher-Yates */

void *fml_allocate(size_t bytes); /* zeroed, aligned to FML_ALIGNMENT; NULL if there is none */
void fml_free(void *memory);
void fml_advise(const void *memory, size_t bytes); /* memory that is mapped will be wanted soon */
double fml_seconds(void);                          /* of a clock that never goes back */
int fml_plant_error(void);                         /* an error for the sanitizers to find, in their builds only */

#endif
