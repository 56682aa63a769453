/* Reads a model file (see docs/design.md, "The model file") into a model of the C API.
 *
 * It reads the current version of the format alone, and refuses what src/fastmlp/formats refuses; what only training or
 * the reading of tables uses (loss, seed, names of columns and classes) is checked as JSON and not kept. The file may
 * hold any bytes: nothing is read beyond its size, and every size in it is compared with that before memory is
 * allocated for it. Memory is at most a copy of the header, which may have 16 MiB, one of the largest weights and
 * biases, the parameters in the engine's layout, whose padding makes them up to 32 times as large in a layer of few
 * outputs, and the model's own workspaces (model.c). */
#include "model.h"
#include "pass_common.h"
#include "sha256.h"
#include "strict_json.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "model_file.c: expected a little-endian processor, as numbers in model files are little-endian"
#endif

enum { FORMAT_VERSION = 2, MAX_HEADER_BYTES = 1 << 24, MAX_LAYERS = 10000, WORD = 64 };
static const size_t MAX_PARAMETERS = (size_t)1 << 31; /* also of the inputs or outputs of a layer */

/* What has been read of a file so far. */
typedef struct {
    fastmlp_model *model;
    fastmlp_error *error;
    const char *header, *header_end;    /* JSON */
    const unsigned char *data;          /* the bytes of the tensors, */
    size_t n_data;                      /* and their number */
    char *text;                         /* the description of the architecture, decoded; owned */
    size_t *sizes, n_sizes;             /* of the layers; owned */
    size_t *offsets;                    /* where weights and biases of each layer begin in `data`; owned */
    char digest[FML_SHA256_DIGITS + 1]; /* of the parameters, or empty */
} reader;

static int refuse(const reader *r, fastmlp_status status, const char *part, const char *message) {
    fml_json at = fml_json_at(NULL, NULL, part, r->error);
    return fml_json_refuse(&at, status, "%s", message);
}

/* Returns 0 with the error of a lack of memory, which fastmlp_load writes. */
static int no_memory(void) { return 0; }

/* -- the container ----------------------------------------------------------------------------------------------- */

static int find_header(reader *r, const unsigned char *file, size_t size) {
    uint64_t length = 0;
    if (size < 8) return refuse(r, FASTMLP_BAD_FILE, "model file", "expected at least 8 bytes, got fewer");
    for (int i = 0; i < 8; i++) length |= (uint64_t)file[i] << 8 * i;
    if (length > size - 8 || length > MAX_HEADER_BYTES)
        return refuse(r, FASTMLP_BAD_FILE, "header", "expected a model file, got a header of an impossible length");
    r->header = (const char *)file + 8;
    r->header_end = r->header + length;
    r->data = file + 8 + length;
    r->n_data = size - 8 - (size_t)length;
    fml_json header = fml_json_at(r->header, r->header_end, "header", r->error);
    return fml_json_check(&header);
}

/* Find the value of __metadata__ in the header, once. */
static int find_metadata(reader *r, fml_json *metadata) {
    fml_json header = fml_json_at(r->header, r->header_end, "header", r->error);
    size_t n = 0, n_found = 0;
    char key[WORD];
    while (fml_json_next(&header, '{', &n)) {
        if (!fml_json_key(&header, key, sizeof key)) return 0;
        if (strcmp(key, "__metadata__") == 0) {
            *metadata = fml_json_at(header.at, header.end, "__metadata__", r->error);
            n_found++;
        }
        if (!fml_json_skip(&header)) return 0;
    }
    if (n == FML_JSON_FAILED) return 0;
    return n_found == 1 || refuse(r, FASTMLP_BAD_FILE, "header", "expected a fastmlp model file, got none");
}

/* -- the metadata: texts with their checksums -------------------------------------------------------------------- */

static void digest_of(const void *data, size_t n, char digits[FML_SHA256_DIGITS + 1]) {
    fml_sha256 sha;
    fml_sha256_begin(&sha);
    fml_sha256_add(&sha, data, n);
    fml_sha256_end(&sha, digits);
}

/* Whether the checksum is the stored one; there may be none. A fuzzer cannot find checksums, so it leaves them out. */
static int same_digest(const char *digest, const char *stored) {
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    (void)digest, (void)stored;
    return 1;
#else
    return *stored == 0 || strcmp(digest, stored) == 0;
#endif
}

/* Read a text, and compare it with the checksum that the cursor `digest` is at, unless that has at == NULL. The text
 * becomes *text, which the caller frees. */
static int read_text(const reader *r, fml_json *value, fml_json *digest, char **text, size_t *length) {
    char stored[FML_SHA256_DIGITS + 1] = "", found[FML_SHA256_DIGITS + 1];
    size_t capacity = (size_t)(value->end - value->at) + 1;
    if (digest->at != NULL && !fml_json_word(digest, stored, sizeof stored)) return 0;
    *text = fml_allocate(capacity);
    if (*text == NULL) return no_memory();
    if (!fml_json_string(value, *text, capacity, length)) return 0;
    digest_of(*text, *length, found);
    return same_digest(found, stored) || refuse(r, FASTMLP_BAD_FILE, value->part, "expected the text of its checksum");
}

enum { FORMAT, ARCHITECTURE, EXTRA, ARCHITECTURE_DIGEST, EXTRA_DIGEST, PARAMETERS_DIGEST, TRAINING, N_METADATA };
static const char *const METADATA[] = {"format",
                                       "fastmlp.architecture",
                                       "fastmlp.extra",
                                       "fastmlp.architecture.sha256",
                                       "fastmlp.extra.sha256",
                                       "fastmlp.parameters.sha256",
                                       "fastmlp.training",
                                       "fastmlp.training.sha256",
                                       "fastmlp.tensors.sha256",
                                       NULL};

/* Read the metadata into r->text, r->digest and *architecture, a cursor in r->text. */
static int read_metadata(reader *r, fml_json *architecture) {
    fml_json metadata, values[sizeof METADATA / sizeof *METADATA];
    char format[WORD] = "", *extra = NULL;
    size_t length;
    if (!find_metadata(r, &metadata) || !fml_json_fields(&metadata, METADATA, values)) return 0;
    if (values[FORMAT].at != NULL && !fml_json_word(&values[FORMAT], format, sizeof format)) return 0;
    if (strcmp(format, "fastmlp") != 0 || values[ARCHITECTURE].at == NULL)
        return refuse(r, FASTMLP_BAD_FILE, "__metadata__", "expected a fastmlp model file, got another one");
    if (values[TRAINING].at != NULL)
        return refuse(r, FASTMLP_NEEDS_PYTHON, "fastmlp.training",
                      "expected a model, got a checkpoint; write its network with fastmlp.load(...).save(...)");
    int is_ok = values[EXTRA].at == NULL || read_text(r, &values[EXTRA], &values[EXTRA_DIGEST], &extra, &length);
    if (is_ok && extra != NULL) {
        fml_json own = fml_json_at(extra, extra + length, "fastmlp.extra", r->error);
        is_ok = fml_json_check(&own);
    }
    fml_free(extra);
    if (!is_ok || !read_text(r, &values[ARCHITECTURE], &values[ARCHITECTURE_DIGEST], &r->text, &length)) return 0;
    *architecture = fml_json_at(r->text, r->text + length, "fastmlp.architecture", r->error);
    if (values[PARAMETERS_DIGEST].at != NULL && !fml_json_word(&values[PARAMETERS_DIGEST], r->digest, sizeof r->digest))
        return 0;
    return fml_json_check(architecture);
}

/* -- activations ------------------------------------------------------------------------------------------------- */

/* The fields of activations, whose values are the hyper-parameters of the kernel of that name, in this order. */
enum { ANY, NOT_ZERO, POSITIVE, NOT_NEGATIVE, BELOW_NEXT, FORM };
typedef struct {
    const char *name;
    double by_default;
    int allowed; /* FORM: 0 or 1, for the text "none" or "tanh"; BELOW_NEXT: below the field that follows */
} field;
enum { MAX_FIELDS = 2 };
static const struct {
    const char *name;
    field fields[MAX_FIELDS + 1];
} ACTIVATIONS[] = {
    {"identity", {{NULL, 0, 0}}},
    {"sigmoid", {{"beta", 1, NOT_ZERO}}},
    {"tanh", {{NULL, 0, 0}}},
    {"relu", {{NULL, 0, 0}}},
    {"piecewise_linear", {{"x_min", -1, BELOW_NEXT}, {"x_max", 1, ANY}}},
    {"gaussian", {{"mu", 0, ANY}, {"sigma", 1, POSITIVE}}},
    {"threshold", {{NULL, 0, 0}}},
    {"leaky_relu", {{"negative_slope", 0.01, NOT_NEGATIVE}}},
    {"elu", {{"alpha", 1, POSITIVE}}},
    {"selu", {{NULL, 0, 0}}},
    {"gelu", {{"approximate", 0, FORM}}},
    {"silu", {{NULL, 0, 0}}},
    {"mish", {{NULL, 0, 0}}},
    {"softplus", {{"beta", 1, POSITIVE}}},
    {"softsign", {{NULL, 0, 0}}},
    {"hard_sigmoid", {{NULL, 0, 0}}},
    {"hard_tanh", {{"min_val", -1, BELOW_NEXT}, {"max_val", 1, ANY}}},
    {"sine", {{"omega", 1, NOT_ZERO}}},
    {"stepwise_sigmoid", {{NULL, 0, 0}}},
    {"stepwise_tanh", {{NULL, 0, 0}}},
    {"softmax", {{NULL, 0, 0}}},
};
enum { N_ACTIVATIONS = sizeof ACTIVATIONS / sizeof *ACTIVATIONS };

static int is_allowed(int allowed, const double *h) {
    switch (allowed) {
    case NOT_ZERO:
        return *h != 0;
    case POSITIVE:
        return *h > 0;
    case NOT_NEGATIVE:
        return *h >= 0;
    case BELOW_NEXT:
        return h[0] < h[1] && isfinite(h[1] - h[0]);
    default:
        return 1;
    }
}

static int read_field(fml_json *json, const field *f, double *value) {
    char form[WORD];
    *value = f->by_default;
    if (json->at == NULL) return 1;
    if (f->allowed != FORM) return fml_json_number(json, value);
    if (!fml_json_word(json, form, sizeof form)) return 0;
    *value = strcmp(form, "tanh") == 0;
    return *value == 1 || strcmp(form, "none") == 0 ||
           fml_json_refuse(json, FASTMLP_BAD_FILE, "expected 'none' or 'tanh', got '%s'", form);
}

/* Find the name of an object {"name": ..., ...} without regard to its other fields. */
static int read_name(fml_json object, char *name) {
    size_t n = 0;
    char key[WORD];
    *name = 0;
    while (fml_json_next(&object, '{', &n)) {
        if (!fml_json_key(&object, key, sizeof key)) return 0;
        if (!(strcmp(key, "name") == 0 ? fml_json_word(&object, name, WORD) : fml_json_skip(&object))) return 0;
    }
    return n != FML_JSON_FAILED;
}

static const fml_activation *kernel_of(const fml_kernels *kernels, const char *name) {
    const fml_activation *f = kernels->activations;
    while (f->name != NULL && strcmp(f->name, name) != 0) f++;
    return f->name == NULL ? NULL : f;
}

/* Read an activation into a layer; json is at its object, and moves behind it. */
static int read_activation(const reader *r, fml_json *json, fml_layer *layer, int is_last) {
    char name[WORD];
    const char *names[MAX_FIELDS + 2] = {"name"};
    fml_json values[MAX_FIELDS + 1];
    size_t i = 0, n = 0;
    if (!read_name(*json, name)) return 0;
    while (i < N_ACTIVATIONS && strcmp(ACTIVATIONS[i].name, name) != 0) i++;
    layer->activation = i == N_ACTIVATIONS ? NULL : kernel_of(r->model->net.kernels, name);
    if (layer->activation == NULL || (layer->activation->is_softmax && !is_last))
        return fml_json_refuse(json, FASTMLP_BAD_FILE, "expected an activation of this layer, got '%s'", name);
    const field *fields = ACTIVATIONS[i].fields;
    for (; fields[n].name != NULL; n++) names[n + 1] = fields[n].name;
    if (!fml_json_fields(json, names, values)) return 0;
    for (size_t k = 0; k < n; k++)
        if (!read_field(&values[k + 1], &fields[k], &layer->hyper_parameters[k])) return 0;
    for (size_t k = 0; k < n; k++)
        if (!is_allowed(fields[k].allowed, &layer->hyper_parameters[k]))
            return fml_json_refuse(json, FASTMLP_BAD_FILE, "expected another %s of '%s'", fields[k].name, name);
    return 1;
}

/* -- the architecture -------------------------------------------------------------------------------------------- */

/* The fields of an architecture by their place in FIELDS: those that every file has, then the others. */
enum {
    SIZES,
    HIDDEN,
    OUTPUT,
    LOSS,
    DTYPE,
    N_REQUIRED = 10,
    INPUT_SCALING = N_REQUIRED,
    TARGET_SCALING,
    ENCODER,
    WEIGHTS
};
static const char *const FIELDS[] = {"sizes",        "activation",    "output_activation",
                                     "loss",         "dtype",         "version",
                                     "written_by",   "init",          "seed",
                                     "random_state", "input_scaling", "target_scaling",
                                     "encoder",      "weights",       "feature_names",
                                     "target_name",  "class_names",   NULL};

/* Refuse another version of the format before anything that it may have changed is read. */
static int check_version(const reader *r, const fml_json *architecture) {
    fml_json json = *architecture;
    size_t n = 0, version = 0;
    char key[WORD], writer[WORD] = "0.1.0";
    while (fml_json_next(&json, '{', &n)) {
        if (!fml_json_key(&json, key, sizeof key)) return 0;
        int is_ok = strcmp(key, "version") == 0      ? fml_json_size(&json, &version, SIZE_MAX)
                    : strcmp(key, "written_by") == 0 ? fml_json_word(&json, writer, sizeof writer)
                                                     : fml_json_skip(&json);
        if (!is_ok) return 0;
    }
    if (n == FML_JSON_FAILED) return 0;
    if (version == FORMAT_VERSION) return 1;
    json = fml_json_at(NULL, NULL, "version", r->error);
    return fml_json_refuse(&json, version == 0 ? FASTMLP_BAD_FILE : FASTMLP_OTHER_VERSION,
                           "expected %d, got %zu, written by fastmlp %s; load the file with fastmlp %s in Python and "
                           "save it again",
                           FORMAT_VERSION, version, writer,
                           version < FORMAT_VERSION ? FASTMLP_VERSION : "of that version or later");
}

static int read_sizes(reader *r, fml_json *json) {
    fml_json again = *json;
    size_t n = 0, size;
    uint64_t bytes = 0, packed = 0; /* of the tensors as float32, at least; of the engine's layout, at most */
    while (fml_json_next(&again, '[', &n))
        if (!fml_json_size(&again, &size, MAX_PARAMETERS)) return 0;
    if (n == FML_JSON_FAILED || n < 2 || n > MAX_LAYERS + 1)
        return fml_json_refuse(json, FASTMLP_BAD_FILE, "expected an array of 2 to %d sizes", MAX_LAYERS + 1);
    r->n_sizes = n;
    r->sizes = fml_allocate(n * sizeof *r->sizes);
    if (r->sizes == NULL) return no_memory();
    for (n = 0; fml_json_next(json, '[', &n);) {
        if (!fml_json_size(json, &r->sizes[n - 1], MAX_PARAMETERS)) return 0;
        if (r->sizes[n - 1] == 0) return refuse(r, FASTMLP_BAD_FILE, "sizes", "expected sizes of at least 1, got 0");
        if (n == 1) continue;
        uint64_t I = r->sizes[n - 2], O = r->sizes[n - 1], weights = (I + 1) * O;
        if (weights > r->n_data / 4 || (bytes += 4 * weights) > r->n_data)
            return refuse(r, FASTMLP_BAD_FILE, "sizes", "expected layers that fit the tensors");
        packed += 8 * (I + FML_ALIGNMENT) * (O + FML_ALIGNMENT);
        if (packed > SIZE_MAX / 2) return no_memory();
    }
    return n != FML_JSON_FAILED;
}

/* Choose kernels and engine, and allocate the layers with their sizes. */
static int make_layers(reader *r, fml_json *dtype, fml_json *weights) {
    fml_network *net = &r->model->net;
    char name[WORD], kind[WORD];
    if (!fml_json_word(dtype, name, sizeof name)) return 0;
    if (strcmp(name, "float32") != 0 && strcmp(name, "float64") != 0)
        return fml_json_refuse(dtype, FASTMLP_BAD_FILE, "expected 'float32' or 'float64', got '%s'", name);
    net->kernels = fml_kernels_of(0, strcmp(name, "float32") == 0 ? FML_F32 : FML_F64);
    memcpy(kind, name, sizeof kind);
    if (weights->at != NULL && !fml_json_word(weights, kind, sizeof kind)) return 0;
    net->engine = fml_engine_of_weights(net->kernels, kind);
    if (net->engine == NULL)
        return fml_json_refuse(weights, FASTMLP_BAD_FILE, "expected weights of a %s network, got '%s'", name, kind);
    net->n_layers = r->n_sizes - 1;
    net->layers = fml_allocate(net->n_layers * sizeof *net->layers);
    if (net->layers == NULL) return no_memory();
    for (size_t l = 0; l < net->n_layers; l++) {
        net->layers[l].n_inputs = r->sizes[l];
        net->layers[l].n_outputs = r->sizes[l + 1];
    }
    return 1;
}

static int read_activations(const reader *r, fml_json *hidden, fml_json *output) {
    const fml_network *net = &r->model->net;
    size_t n = 0, n_hidden = net->n_layers - 1;
    while (fml_json_next(hidden, '[', &n))
        if (n > n_hidden || !read_activation(r, hidden, &net->layers[n - 1], 0)) {
            if (r->error->status != FASTMLP_OK) return 0;
            break;
        }
    if (n != n_hidden)
        return n != FML_JSON_FAILED &&
               fml_json_refuse(hidden, FASTMLP_BAD_FILE, "expected one for each of %zu hidden layers", n_hidden);
    return read_activation(r, output, &net->layers[n_hidden], 1);
}

/* -- scalings ---------------------------------------------------------------------------------------------------- */

static int read_numbers(fml_json *json, double *numbers, size_t n_wanted) {
    size_t n = 0;
    while (fml_json_next(json, '[', &n) && n <= n_wanted)
        if (!fml_json_number(json, &numbers[n - 1])) return 0;
    if (n == FML_JSON_FAILED) return 0;
    return n == n_wanted || fml_json_refuse(json, FASTMLP_BAD_FILE, "expected %zu numbers, got others", n_wanted);
}

/* Scaling.needs_float64 in Python: whether float32 is too imprecise or too narrow for scaled back outputs. */
static int needs_float64(double offset, double scale) {
    double far = 1024 * scale, size = fabs(offset);
    return size > far || size + far > FLT_MAX || scale < FLT_MIN * 0x1p24;
}

/* Read a scaling of n columns into numbers (2 n), offsets first; `affine` then points there. */
static int read_scaling(fml_json *json, double *numbers, size_t n, int narrow, fml_affine *affine) {
    static const char *const NAMES[] = {"offset", "scale", NULL};
    fml_json values[2], part = *json;
    double *scale = numbers + n;
    if (json->at == NULL || fml_json_is(json, 'n')) return 1;
    if (fml_json_is(json, '"'))
        return fml_json_refuse(json, FASTMLP_NEEDS_PYTHON, "expected numbers, got a name; Network.fit computes them");
    if (!fml_json_fields(json, NAMES, values)) return 0;
    if (values[0].at == NULL || values[1].at == NULL)
        return fml_json_refuse(&part, FASTMLP_BAD_FILE, "expected the arrays 'offset' and 'scale'");
    if (!read_numbers(&values[0], numbers, n) || !read_numbers(&values[1], scale, n)) return 0;
    for (size_t i = 0; i < n; i++) {
        if (!(scale[i] >= 0x1p-970))
            return fml_json_refuse(&part, FASTMLP_BAD_FILE, "expected scales of at least 2^-970, got %g", scale[i]);
        if (narrow && needs_float64(numbers[i], scale[i]))
            return fml_json_refuse(&part, FASTMLP_NEEDS_PYTHON,
                                   "expected outputs that float32 can hold, got the offset %g with the scale %g; "
                                   "train a network of dtype float64",
                                   numbers[i], scale[i]);
    }
    *affine = (fml_affine){numbers, scale};
    return 1;
}

static int read_scalings(const reader *r, fml_json *inputs, fml_json *targets) {
    fastmlp_model *model = r->model;
    size_t I = r->sizes[0], O = r->sizes[r->n_sizes - 1];
    if (inputs->at == NULL && targets->at == NULL) return 1;
    model->scales = fml_allocate(2 * (I + O) * sizeof(double));
    if (model->scales == NULL) return no_memory();
    return read_scaling(inputs, model->scales, I, 0, &model->scaling.inputs) &&
           read_scaling(targets, model->scales + 2 * I, O, model->net.kernels->dtype == FML_F32,
                        &model->scaling.targets);
}

static int read_architecture(reader *r, fml_json *architecture) {
    fml_json values[sizeof FIELDS / sizeof *FIELDS];
    char loss[WORD];
    if (!check_version(r, architecture) || !fml_json_fields(architecture, FIELDS, values)) return 0;
    for (size_t i = 0; i < N_REQUIRED; i++)
        if (values[i].at == NULL) return refuse(r, FASTMLP_BAD_FILE, FIELDS[i], "expected this field, got none");
    if (values[ENCODER].at != NULL && !fml_json_is(&values[ENCODER], 'n'))
        return refuse(r, FASTMLP_NEEDS_PYTHON, "encoder",
                      "expected a model whose inputs are numbers, got one with an encoder of columns");
    return read_name(values[LOSS], loss) && read_sizes(r, &values[SIZES]) &&
           make_layers(r, &values[DTYPE], &values[WEIGHTS]) && read_activations(r, &values[HIDDEN], &values[OUTPUT]) &&
           read_scalings(r, &values[INPUT_SCALING], &values[TARGET_SCALING]);
}

/* -- tensors ----------------------------------------------------------------------------------------------------- */

static size_t n_reals(const reader *r, size_t tensor) {
    const fml_layer *layer = &r->model->net.layers[tensor / 2];
    return layer->n_outputs * (tensor % 2 == 0 ? layer->n_inputs : 1);
}

/* The number of a tensor, 2 l for weights and 2 l + 1 for biases; SIZE_MAX if there is none of that name. */
static size_t tensor_of(const reader *r, const char *name) {
    char again[WORD];
    if (strncmp(name, "layers.", 7) != 0 || name[7] < '0' || name[7] > '9') return SIZE_MAX;
    unsigned long l = strtoul(name + 7, NULL, 10);
    for (size_t kind = 0; kind < 2 && l < r->model->net.n_layers; kind++) {
        snprintf(again, sizeof again, "layers.%lu.%s", l, kind == 0 ? "weight" : "bias");
        if (strcmp(again, name) == 0) return 2 * (size_t)l + kind;
    }
    return SIZE_MAX;
}

static int read_integers(fml_json *json, size_t *integers, size_t n_wanted) {
    size_t n = 0;
    while (fml_json_next(json, '[', &n) && n <= n_wanted)
        if (!fml_json_size(json, &integers[n - 1], SIZE_MAX / 2)) return 0;
    if (n == FML_JSON_FAILED) return 0;
    return n == n_wanted || fml_json_refuse(json, FASTMLP_BAD_FILE, "expected %zu integers, got others", n_wanted);
}

/* Read the entry of a tensor: where it begins. */
static int read_tensor(reader *r, fml_json *json, size_t tensor) {
    static const char *const NAMES[] = {"dtype", "shape", "data_offsets", NULL};
    const fml_network *net = &r->model->net;
    const fml_layer *layer = &net->layers[tensor / 2];
    size_t n_dimensions = tensor % 2 == 0 ? 2 : 1, shape[2], ends[2];
    char dtype[WORD];
    fml_json values[3], part = *json;
    part.part = tensor % 2 == 0 ? "weights" : "biases";
    if (!fml_json_fields(json, NAMES, values)) return 0;
    for (int i = 0; i < 3; i++)
        if (values[i].at == NULL) return fml_json_refuse(&part, FASTMLP_BAD_FILE, "expected the field '%s'", NAMES[i]);
    if (!fml_json_word(&values[0], dtype, sizeof dtype) || !read_integers(&values[1], shape, n_dimensions) ||
        !read_integers(&values[2], ends, 2))
        return 0;
    if (strcmp(dtype, net->kernels->dtype == FML_F32 ? "F32" : "F64") != 0 || shape[0] != layer->n_outputs ||
        (n_dimensions == 2 && shape[1] != layer->n_inputs))
        return fml_json_refuse(&part, FASTMLP_BAD_FILE, "expected the dtype and shape of layer %zu", tensor / 2);
    if (ends[1] > r->n_data || ends[0] > ends[1] || ends[1] - ends[0] != n_reals(r, tensor) * net->kernels->real_size)
        return fml_json_refuse(&part, FASTMLP_BAD_FILE, "expected the length of layer %zu", tensor / 2);
    if (r->offsets[tensor] != SIZE_MAX) return refuse(r, FASTMLP_BAD_FILE, "tensors", "expected each name once");
    r->offsets[tensor] = ends[0];
    return 1;
}

typedef struct {
    size_t begin, end;
} piece;

static int compare_pieces(const void *a, const void *b) {
    size_t x = ((const piece *)a)->begin, y = ((const piece *)b)->begin;
    return (x > y) - (x < y);
}

/* Whether the tensors fill the section of their bytes without gap or overlap. */
static int fill_the_section(const reader *r) {
    size_t n = 2 * r->model->net.n_layers, end = 0;
    piece *pieces = fml_allocate(n * sizeof *pieces);
    if (pieces == NULL) return no_memory();
    for (size_t i = 0; i < n; i++)
        pieces[i] = (piece){r->offsets[i], r->offsets[i] + n_reals(r, i) * r->model->net.kernels->real_size};
    qsort(pieces, n, sizeof *pieces, compare_pieces);
    int is_ok = 1;
    for (size_t i = 0; i < n; end = pieces[i++].end) is_ok = is_ok && pieces[i].begin == end;
    fml_free(pieces);
    return (is_ok && end == r->n_data) ||
           refuse(r, FASTMLP_BAD_FILE, "tensors", "expected tensors that fill the file, without gap or overlap");
}

static int read_tensors(reader *r) {
    size_t n_tensors = 2 * r->model->net.n_layers, n = 0, n_found = 0;
    fml_json header = fml_json_at(r->header, r->header_end, "header", r->error);
    char key[WORD];
    r->offsets = fml_allocate(n_tensors * sizeof *r->offsets);
    if (r->offsets == NULL) return no_memory();
    for (size_t i = 0; i < n_tensors; i++) r->offsets[i] = SIZE_MAX;
    while (fml_json_next(&header, '{', &n)) {
        if (!fml_json_key(&header, key, sizeof key)) return 0;
        if (strcmp(key, "__metadata__") == 0) {
            if (!fml_json_skip(&header)) return 0;
            continue;
        }
        size_t tensor = tensor_of(r, key);
        if (tensor == SIZE_MAX)
            return fml_json_refuse(&header, FASTMLP_BAD_FILE, "expected weights and biases of the layers, got '%s'",
                                   key);
        if (!read_tensor(r, &header, tensor)) return 0;
        n_found++;
    }
    if (n == FML_JSON_FAILED) return 0;
    if (n_found != n_tensors) return refuse(r, FASTMLP_BAD_FILE, "tensors", "expected those of all layers, got fewer");
    return fill_the_section(r);
}

/* Copy a tensor to aligned memory, and check its numbers. */
static int copy_tensor(const reader *r, size_t tensor, void *to) {
    const fml_kernels *kernels = r->model->net.kernels;
    size_t n = n_reals(r, tensor);
    memcpy(to, r->data + r->offsets[tensor], n * kernels->real_size);
    if (kernels->first_not_finite(to, n) == n) return 1;
    fml_json at = fml_json_at(NULL, NULL, "parameters", r->error);
    return fml_json_refuse(&at, FASTMLP_BAD_FILE, "expected finite numbers, got others in layer %zu", tensor / 2);
}

static int pack_parameters(const reader *r) {
    const fml_network *net = &r->model->net;
    size_t largest = 0, real = net->kernels->real_size;
    char digest[FML_SHA256_DIGITS + 1];
    fml_sha256 sha;
    for (size_t l = 0; l < net->n_layers; l++) largest = size_max(largest, n_reals(r, 2 * l));
    void *block = fml_allocate(net->n_packed * real), *w = fml_allocate(largest * real),
         *b = fml_allocate(net->widest * real);
    r->model->block = block;
    int is_ok = block != NULL && w != NULL && b != NULL;
    fml_sha256_begin(&sha);
    for (size_t l = 0; l < net->n_layers && is_ok; l++) {
        is_ok = copy_tensor(r, 2 * l, w) && copy_tensor(r, 2 * l + 1, b);
        if (!is_ok) break;
        if (*r->digest != 0) {
            fml_sha256_add(&sha, w, n_reals(r, 2 * l) * real);
            fml_sha256_add(&sha, b, n_reals(r, 2 * l + 1) * real);
        }
        net->engine->pack(net, l, w, b, block);
    }
    fml_free(w);
    fml_free(b);
    if (!is_ok) return 0;
    fml_sha256_end(&sha, digest);
    return same_digest(digest, r->digest) ||
           refuse(r, FASTMLP_BAD_FILE, "parameters", "expected those of their checksum, got others");
}

int fml_model_read(fastmlp_model *model, const void *file, size_t size, fastmlp_error *error) {
    reader r = {.model = model, .error = error};
    fml_json architecture;
    int is_ok = find_header(&r, file, size) && read_metadata(&r, &architecture) &&
                read_architecture(&r, &architecture) && read_tensors(&r);
    if (is_ok) {
        fml_network_lay_out(&model->net);
        is_ok = pack_parameters(&r);
    }
    fml_free(r.text);
    fml_free(r.sizes);
    fml_free(r.offsets);
    return is_ok;
}
