# Declarations of csrc/core.h and csrc/method.h for Cython, which the headers describe: those that Cython files use.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "core.h" nogil:
    const int FML_MAX_HYPER_PARAMETERS
    const int FML_MAX_SCALARS
    const int FML_MAX_STATES
    ctypedef enum fml_dtype:
        FML_F32
        FML_F64
    ctypedef enum fml_status:
        FML_OK
        FML_STOPPED
        FML_INPUT_NOT_FINITE
        FML_LOSS_NOT_FINITE
    ctypedef struct fml_activation:
        const char *name
        int reads_z
        void (*forward)(const void *z, void *y, size_t rows, size_t O, const double *h) noexcept nogil
        void (*backward)(const void *z, const void *y, const void *dy, void *dz, size_t rows, size_t O,
                         const double *h) noexcept nogil
        int whole_tiles
        int is_softmax
    ctypedef struct fml_network
    ctypedef struct fml_loss_rows:
        const fml_network *net
        const void *output
        const void *t
        const double *weights
        void *d
        size_t rows
        double scale
    ctypedef struct fml_loss:
        const char *name
        double threshold
    ctypedef double (*fml_own_loss)(void *context, const fml_loss_rows *rows) noexcept nogil
    ctypedef struct fml_method
    ctypedef struct fml_optimizer:
        const char *name
        int n_states
        const fml_method *method
    ctypedef struct fml_engine
    ctypedef struct fml_pass
    ctypedef struct fml_kernels:
        const char *isa
        fml_dtype dtype
        size_t real_size
        const fml_activation *activations
        const fml_loss *losses
        const fml_optimizer *optimizers
        const fml_engine *native
        void (*add_bias)(const void *b, void *z, size_t rows, size_t O) noexcept nogil
        void (*sum_rows)(const void *d, void *sums, size_t rows, size_t O, int accumulate) noexcept nogil
        size_t (*first_not_finite)(const void *x, size_t n) noexcept nogil
        void (*limit_rows)(void *w, size_t rows, size_t n, double max_norm) noexcept nogil
        void (*classify)(const void *y, size_t rows, size_t O, double threshold, int64_t *classes) noexcept nogil
    const fml_kernels *fml_kernels_of(size_t i, fml_dtype dtype)
    const fml_engine *fml_find_engine(const fml_kernels *kernels, const char *name)

    ctypedef struct fml_layer:
        size_t n_inputs
        size_t n_outputs
        const fml_activation *activation
        double *hyper_parameters
        size_t weights
        size_t biases
    ctypedef struct fml_network:
        const fml_kernels *kernels
        const fml_engine *engine
        const fml_loss *loss
        const double *loss_hyper_parameters
        size_t n_loss_hyper_parameters
        fml_own_loss own_loss
        void *own_loss_context
        size_t n_targets
        size_t n_layers
        fml_layer *layers
        size_t n_parameters
        size_t n_packed
        size_t n_threads
    ctypedef struct fml_share:
        pass
    ctypedef struct fml_ahead:
        pass
    ctypedef struct fml_update:
        pass
    ctypedef struct fml_engine:
        const char *name
        size_t tile_rows
        size_t gradient_rows
        size_t (*packed_weights)(size_t I, size_t O) noexcept nogil
        void (*pack)(const fml_network *net, size_t l, const void *w, const void *b, void *block) noexcept nogil
        void (*unpack)(const fml_network *net, size_t l, const void *block, void *w, void *b) noexcept nogil
        void (*forward_layer)(const fml_network *net, size_t l, const void *block, const void *x, size_t x_row,
                              size_t rows, void *z, void *y, size_t y_row, int ahead) noexcept nogil
        void (*input_gradient)(const fml_network *net, size_t l, const void *block, const void *prepared,
                               const void *dz, size_t dz_row, size_t rows, void *dx, size_t dx_row) noexcept nogil
        void (*weight_gradient)(const fml_pass *pass_, size_t l, const void *x, size_t x_row, const void *delta,
                                size_t rows, int accumulate, const fml_update *update, const fml_share *share,
                                void *scratch, const fml_ahead *ahead) noexcept nogil
        void (*limit_norms)(const fml_network *net, size_t l, void *block, double max_norm) noexcept nogil
    void fml_network_lay_out(fml_network *net)
    void fml_network_pack(const fml_network *net, const void *P, void *block)
    void fml_network_unpack(const fml_network *net, const void *block, void *P)

    ctypedef enum fml_element:
        FML_REAL
        FML_UINT8
        FML_FLOAT16
        FML_FLOAT32
        FML_FLOAT64
    ctypedef struct fml_affine:
        const double *offset
        const double *scale
    ctypedef struct fml_scaling:
        fml_affine inputs
        fml_affine targets
    ctypedef struct fml_data:
        const void *x
        fml_element element
        size_t x_row
        const int64_t *begins
        const int32_t *columns
        const uint32_t *x_rows
        const fml_scaling *scaling
        size_t n_rows
        fml_element values_element
        const void *values
        const int64_t *labels
        const double *weights
    size_t fml_forward_workspace(const fml_network *net, size_t rows)
    ctypedef struct fml_division:
        size_t n_rounds, n_parts, n_threads
    fml_division fml_division_of(const fml_network *net, size_t rows)
    size_t fml_gradient_workspace(const fml_network *net, size_t rows, int with_dx)
    void fml_forward(const fml_network *net, const void *block, const fml_data *data, void **z, void **y,
                     void *output, void *workspace)
    void fml_classify(const fml_network *net, const void *block, const fml_data *data, int64_t *classes,
                      void *workspace)
    size_t fml_population_workspace(const fml_network *net, size_t n_networks, size_t rows)
    fml_status fml_forward_population(const fml_network *net, const void *P, size_t n_networks, const fml_data *data,
                                      int has_own_rows, void *output, fml_poll *poll, void *workspace)
    void fml_forward_row(const fml_network *net, const void *block, const void *x, void *y, void *workspace)
    size_t fml_row_workspace(const fml_network *net)
    ctypedef struct fml_poll:
        int (*stop)(void *context) noexcept nogil
        void *context
        double interval
        double last
        size_t work
    fml_status fml_evaluate(const fml_network *net, const void *block, const fml_data *data, double *loss,
                            double *right, fml_poll *poll, void *workspace)
    ctypedef struct fml_pass:
        const fml_network *net
        void *block
        const fml_data *data
        const uint32_t *order
        size_t rows
        double weight
        void *gradient
        void *dx
        size_t n_next
        fml_poll *poll
        void *workspace
    double fml_total_weight(const fml_data *data, const uint32_t *order, size_t rows)
    fml_status fml_gradient(const fml_pass *pass_, double *loss)

    ctypedef struct fml_regularization:
        double l1
        double l2
        int per_row
        double weight_decay
        double clip_value
        double clip_norm
        double max_norm
        double input_noise
        double input_dropout
        const double *dropout
        uint64_t key
        void *average
        double decay

    ctypedef struct fml_schedule:
        const char *name
        double (*rate)(const double *h, uint64_t n_steps) noexcept nogil
    const fml_schedule *fml_schedules
    ctypedef struct fml_trainer:
        const fml_network *net
        const fml_optimizer *optimizer
        double *hyper_parameters
        void *block
        void *gradient
        void **states
        uint64_t n_steps
        uint64_t random
        double *scalars
        const fml_schedule *schedule
        double *schedule_parameters
        const double *rates
        uint64_t first_rate
        void *method_state
        const fml_regularization *regularization
        bint suspect
    ctypedef struct fml_published_state:
        void *unaveraged
    int fml_trainer_allocate(fml_trainer *trainer, fml_published_state *published, const void *parameters)
    int fml_trainer_allocate_average(fml_trainer *trainer, fml_published_state *published, fml_regularization *terms)
    void fml_trainer_free(fml_trainer *trainer, fml_published_state *published)
    void fml_trainer_release(fml_trainer *trainer)
    int fml_trainer_is_released(const fml_trainer *trainer)
    int fml_trainer_regain(fml_trainer *trainer, const fml_published_state *published, const void *block)
    void *fml_trainer_visible(const fml_trainer *trainer)
    void fml_trainer_publish(const fml_trainer *trainer, fml_published_state *published, void *block)
    void fml_trainer_roll_back(fml_trainer *trainer, const fml_published_state *published, const void *block)
    void fml_trainer_data_changed(fml_trainer *trainer)
    void fml_trainer_abandon(fml_trainer *trainer, const fml_network *net)
    size_t fml_trainer_n_vectors(const fml_trainer *trainer)
    void *fml_trainer_vector(const fml_trainer *trainer, size_t k)
    size_t fml_trainer_n_numbers(const fml_trainer *trainer)
    void fml_trainer_export_numbers(const fml_trainer *trainer, double *numbers)
    int fml_trainer_import_numbers(fml_trainer *trainer, size_t n_vectors, size_t n_numbers, const double *numbers)
    size_t fml_training_workspace(const fml_trainer *trainer, size_t rows)
    fml_status fml_train_step(fml_trainer *trainer, const fml_data *data, const uint32_t *order, size_t rows,
                              size_t n_next, double *loss, fml_poll *poll, void *workspace)
    fml_status fml_train_rows(fml_trainer *trainer, const fml_data *data, size_t batch_size, const uint32_t *order,
                              size_t *first, size_t end, double *loss, fml_poll *poll, void *workspace)

    ctypedef struct fml_block_order:
        uint32_t *rows
        size_t first
    size_t fml_block_rows(size_t n_inputs)
    size_t fml_block_order_size(size_t n_rows, size_t block_rows, size_t batch_rows)
    void fml_block_order_begin(fml_block_order *order, size_t n_rows, size_t block_rows, void *memory)
    void fml_block_order_draw(fml_block_order *order, uint64_t *random)
    void fml_block_order_reach(fml_block_order *order, size_t first, size_t end)
    fml_status fml_train_blocks(fml_trainer *trainer, const fml_data *data, size_t batch_size, fml_block_order *order,
                                int advise, size_t *first, size_t end, double *loss, fml_poll *poll, void *workspace)

    size_t fml_usable_threads()
    void fml_limit_threads(size_t n)
    size_t fml_thread_limit()

    uint64_t fml_random_next(uint64_t *state)
    void fml_random_order(uint64_t *state, uint32_t *order, size_t n)
    double fml_random_uniform(uint64_t *state)
    double fml_random_normal(uint64_t *state)
    void *fml_allocate(size_t bytes)
    void fml_free(void *memory)
    double fml_seconds()
    int fml_plant_error()

cdef extern from "model.h" nogil:
    ctypedef struct fastmlp_model:
        fml_network net
        const void *block
        fml_scaling scaling
        int is_borrowed
    int fml_model_prepare(fastmlp_model *model)
    void fml_model_release(fastmlp_model *model)
    void fastmlp_call(const void *x, void *y, void *model)

cdef extern from "method.h" nogil:
    const int FML_NAME_SIZE
    ctypedef struct fml_method:
        int (*converged)(const void *state) noexcept nogil
        size_t (*n_evaluations)(const void *state) noexcept nogil
        void (*name_vector)(size_t k, char *name) noexcept nogil
        void (*name_number)(size_t k, char *name) noexcept nogil
