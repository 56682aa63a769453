"""Networks written as one file of C99, without libraries and allocation: `write`, which `Network.to_c` calls.

The file has a function `void NAME(const float input[I], float output[O])`, its parameters as constants, and under
FASTMLP_SELF_TEST a `main` that compares stored rows with their outputs. All sizes are numbers in the text. Every name
in the file begins with NAME, so that several such files may be included in one.

Layers. Weights stand in panels of 64 (32 in float64) outputs, [panel][input][output], without padding. The sums of a
panel are kept in vectors of the compiler (GCC's vector extensions; else single numbers), enough of them to hide the
latency of additions: of few outputs, those of several inputs at once. Vectors read over the end of a panel, where the
next numbers stand: those sums are not used. Layers of very few outputs are dot products, row by row.
Rejected: plain loops over outputs, which GCC 12 vectorises well but clang 14 does not (10-32-32-1 on AVX2: 93 ns not
59), and padding, which a microcontroller pays for.

c_activations.py has the activations, c_int8.py what is different for weights of one byte.
"""

from __future__ import annotations

import os
import re
import string
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import activations as a
from .._version import __version__
from ..activations import Activation, CustomActivation
from ..formats import atomic
from ..inputs import arrays
from ..inputs import schema as schemas
from ..scaling import Scaling
from ..tables.columns import PlainFrame
from . import c_int8
from .c_activations import BODIES, helpers, substitute
from .c_layers import Layer, table
from .functions import FUNCTIONS

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..network import Network

WEIGHTS = {"float32": ("float32", "int8"), "float64": ("float64",)}  # of a network of each dtype
PANEL_BYTES, PAD = 256, 15  # bytes of an input's weights in a panel; how many numbers vectors may read over the end
TESTED_ROWS, DRAWN_ROWS = 8, 256  # rows of the self-test; rows that are drawn to choose them from
JUMPS = {  # where activations jump; the self-test's rows stay away from there
    a.Threshold: [0.0],
    a.StepwiseSigmoid: [-5.2933049, 5.2933059],
    a.StepwiseTanh: [-2.6466529, 2.6466529],
}
# of C and C++; and main, which the self-test defines
KEYWORDS = frozenset(
    re.findall(
        r"\S+",
        """alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t char8_t class
        co_await co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype
        default delete do double dynamic_cast else enum explicit export extern false final float for friend goto if
        import inline int long main module mutable namespace new noexcept not not_eq nullptr operator or or_eq override
        private protected public register reinterpret_cast requires restrict return short signed sizeof static
        static_assert static_cast struct switch template this thread_local throw true try typedef typeid typename typeof
        typeof_unqual union unsigned using virtual void volatile wchar_t while xor xor_eq""",
    )
)

# of the C library, which headers and compilers declare
LIBRARY = frozenset(
    re.findall(
        r"\S+",
        """abort abs acos acosf acosh acoshf acosl asin asinf asinh asinhf atan atan2 atan2f atanf atanh atanhf
        atexit atof atoi atol bsearch cabs calloc cbrt cbrtf ceil ceilf clearerr copysign copysignf cos cosf cosh
        coshf div drem erf erfc erfcf erff exit exp exp10 exp2 exp2f expf expm1 expm1f fabs fabsf fclose fdim fdimf
        feof ferror fflush ffs fgetc fgets finite floor floorf fma fmaf fmax fmaxf fmin fminf fmod fmodf fopen
        fpclassify fprintf fputc fputs fread free freopen frexp frexpf fscanf fseek ftell fwrite gamma getc getchar
        getenv gets hypot hypotf ilogb ilogbf index isalnum isalpha isfinite isinf isnan isnormal j0 j1 jn labs
        ldexp ldexpf lgamma lgammaf llabs llrint llround log log10 log10f log1p log1pf log2 log2f logb logbf logf
        lrint lrintf lround lroundf malloc memchr memcmp memcpy memmove memset modf modff nan nanf nearbyint
        nearbyintf nextafter nextafterf nexttoward perror pow powf printf putc putchar puts qsort raise rand realloc
        remainder remainderf remove remquo rename rewind rindex rint rintf round roundf scalb scalbln scalbn scanf
        setbuf setvbuf signal signbit significand sin sincos sincosf sinf sinh sinhf snprintf sprintf sqrt sqrtf
        srand sscanf stderr stdin stdout strcat strchr strcmp strcpy strcspn strlen strncat strncmp strncpy strpbrk
        strrchr strspn strstr strtod strtof strtok strtol system tan tanf tanh tanhf tgamma tgammaf time tmpfile
        tmpnam tolower toupper trunc truncf ungetc vfprintf vprintf vsnprintf vsprintf y0 y1 yn""",
    )
)

HEAD = """ *
 * Compile it as C99 or later, or as C++, at best with -O3 -march=native, and never with -ffast-math. With
 * -DFASTMLP_SELF_TEST it is a program that compares the outputs of stored rows, and returns 0 if they are right. */
#include <float.h>
#include <stdint.h>
$include
#if defined(FLT_EVAL_METHOD) && (FLT_EVAL_METHOD == 1 || FLT_EVAL_METHOD == 2)
#error "expected arithmetic in the precision of its type: compile with -msse2 -mfpmath=sse"
#endif

#define @@_INPUTS $n_inputs
#define @@_OUTPUTS $n_outputs

#ifdef __cplusplus
extern "C"
#endif
void @(const $input_type input[@@_INPUTS], $output_type output[@@_OUTPUTS]);

/* The width of a vector in bytes, or 0, and the number of reals in one. */
#if defined(__GNUC__) && defined(__AVX512F__)
#define @@_BYTES 64
#elif defined(__GNUC__) && defined(__AVX__)
#define @@_BYTES 32
#elif defined(__GNUC__) && (defined(__SSE2__) || defined(__aarch64__))
#define @@_BYTES 16
#else
#define @@_BYTES 0
#endif
#if @@_BYTES
#define @@_LANES (@@_BYTES / $size)
typedef REAL @_lanes __attribute__((vector_size(@@_BYTES)));
typedef REAL @_some __attribute__((vector_size(@@_BYTES), aligned($size), may_alias));
#define @@_ALIGNED __attribute__((aligned(64)))
#else
#define @@_LANES 1
typedef REAL @_lanes, @_some;
#define @@_ALIGNED
#endif

/* Numbers of outputs as whole vectors; loops that are unrolled and loops that are not. */
#define @@_WHOLE(n) (((n) + @@_LANES - 1) / @@_LANES * @@_LANES)
#if defined(__clang__)
#define @@_UNROLLED _Pragma("clang loop unroll(full)")
#define @@_ROLLED _Pragma("clang loop unroll(disable)")
#elif defined(__GNUC__) && __GNUC__ >= 8
#define @@_UNROLLED _Pragma("GCC unroll 16")
#define @@_ROLLED _Pragma("GCC unroll 1")
#else
#define @@_UNROLLED
#define @@_ROLLED
#endif
#if defined(__GNUC__)
#define @@_INLINE inline __attribute__((always_inline))
#else
#define @@_INLINE inline
#endif
#if $has_fma
#define @@_FMA(a, b, c) __builtin_fma$suffix(a, b, c)
#else
#define @@_FMA(a, b, c) ((a) * (b) + (c))
#endif

/* The bits of a number. */
typedef union {
    REAL real;
    UINT bits;
} @_word;
"""
HAS_FMA = {
    "float32": "defined(__GNUC__) && (defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__ARM_FEATURE_FMA))",
    "float64": "defined(__GNUC__) && (defined(__FP_FAST_FMA) || defined(__FMA__) || defined(__aarch64__))",
}
COLUMNS = """
/* y = b + w x for $n_outputs outputs of $n_inputs inputs; w is (inputs, outputs). */
static void @_columns_${n_inputs}_$n_outputs(const REAL *w, const REAL *b, const REAL *x, REAL *y) {
    enum {
        VECTORS = @@_WHOLE($n_outputs) / @@_LANES,
        PIECES = (VECTORS + 7) / 8,
        V = (VECTORS + PIECES - 1) / PIECES,          /* vectors of outputs at once */
        K = 8 / V < $most ? 8 / V : $most, /* inputs at once */
        EVEN = $n_inputs - $n_inputs % K
    };
    int i, k, v, piece;
    for (piece = 0; piece < PIECES; piece++, w += V * @@_LANES, b += V * @@_LANES, y += V * @@_LANES) {
        @_lanes sum[K][V];
        @@_UNROLLED
        for (v = 0; v < V; v++)
            sum[0][v] = *(const @_some *)(b + v * @@_LANES) + *(const @_some *)(w + v * @@_LANES) * x[0];
        @@_UNROLLED
        for (k = 1; k < K; k++) {
            @@_UNROLLED
            for (v = 0; v < V; v++) sum[k][v] = *(const @_some *)(w + k * $n_outputs + v * @@_LANES) * x[k];
        }
        @@_ROLLED
        for (i = K; i < EVEN; i += K) {
            @@_UNROLLED
            for (k = 0; k < K; k++) {
                @@_UNROLLED
                for (v = 0; v < V; v++)
                    sum[k][v] += *(const @_some *)(w + (i + k) * $n_outputs + v * @@_LANES) * x[i + k];
            }
        }
        @@_UNROLLED
        for (i = EVEN; i < $n_inputs; i++) {
            @@_UNROLLED
            for (v = 0; v < V; v++) sum[i - EVEN][v] += *(const @_some *)(w + i * $n_outputs + v * @@_LANES) * x[i];
        }
        @@_UNROLLED
        for (i = K / 2; i > 0; i /= 2) {
            @@_UNROLLED
            for (k = 0; k < i; k++) {
                @@_UNROLLED
                for (v = 0; v < V; v++) sum[k][v] += sum[k + i][v];
            }
        }
        @@_UNROLLED
        for (v = 0; v < V; v++) *(@_some *)(y + v * @@_LANES) = sum[0][v];
    }
}
"""
ROWS = """
/* y = b + w x for $n_outputs outputs of $n_inputs inputs; w is (outputs, inputs). */
static void @_rows_${n_inputs}_$n_outputs(const REAL *w, const REAL *b, const REAL *x, REAL *y) {
    enum { VECTORS = $n_inputs / @@_LANES, K = VECTORS < 4 ? 1 : 4, EVEN = VECTORS - VECTORS % K };
    int i, k, o;
    for (o = 0; o < $n_outputs; o++, w += $n_inputs) {
        union {
            @_lanes vector;
            REAL part[@@_LANES];
        } total;
        @_lanes sum[K];
        REAL rest = b[o];
        @@_UNROLLED
        for (k = 0; k < K; k++)
            sum[k] = *(const @_some *)(w + k * @@_LANES) * *(const @_some *)(x + k * @@_LANES);
        @@_ROLLED
        for (i = K; i < EVEN; i += K) {
            @@_UNROLLED
            for (k = 0; k < K; k++)
                sum[k] += *(const @_some *)(w + (i + k) * @@_LANES) * *(const @_some *)(x + (i + k) * @@_LANES);
        }
        @@_UNROLLED
        for (i = EVEN; i < VECTORS; i++)
            sum[0] += *(const @_some *)(w + i * @@_LANES) * *(const @_some *)(x + i * @@_LANES);
        @@_UNROLLED
        for (i = VECTORS * @@_LANES; i < $n_inputs; i++) rest += w[i] * x[i];
        @@_UNROLLED
        for (k = 1; k < K; k++) sum[0] += sum[k];
        total.vector = sum[0];
        @@_UNROLLED
        for (i = @@_LANES / 2; i > 0; i /= 2) {
            @@_UNROLLED
            for (k = 0; k < i; k++) total.part[k] += total.part[k + i];
        }
        y[o] = total.part[0] + rest;
    }
}
"""
SOFTMAX = """
/* y_o = exp y_o / sum_p exp y_p */
static void @_softmax(REAL *y, int n) {
    REAL largest = y[0], sum = R(0);
    int o;
    for (o = 1; o < n; o++) largest = y[o] > largest ? y[o] : largest;
    for (o = 0; o < n; o++) y[o] = @_exp(largest - y[o], R(0));
    for (o = 0; o < n; o++) sum += y[o];
    for (o = 0; o < n; o++) y[o] /= sum;
}
"""
FAR_SINE = """
/* y = $function(y) for n numbers; those that are too large for it by the C library. */
static void @_all_$function(REAL *y, int n) {
    int o, far = 0;
    for (o = 0; o < n; o++) far |= !(@_size(R($omega) * y[o], R(near)) < R(near));
    for (o = 0; o < n; o++) {
        REAL u = R($omega) * y[o];
        y[o] = far && !(@_size(u, R(near)) < R(near)) ? (REAL)sin((double)u) : @_$function(y[o]);
    }
}
"""
MAIN = """
void @(const $input_type input[@@_INPUTS], $output_type output[@@_OUTPUTS]) {
$body}
"""
SELF_TEST = """
#ifdef FASTMLP_SELF_TEST
#include <stdio.h>

static const $input_type @_test_inputs[$n_rows][@@_INPUTS] = {
$rows
};
static const $output_type @_test_outputs[$n_rows][@@_OUTPUTS] = {
$rows
};

static const double @_test_tolerances[@@_OUTPUTS] = {
$tolerances
};

int main(void) {
    int @_row, @_o, @_wrong = 0;
    for (@_row = 0; @_row < $n_rows; @_row++) {
        $output_type @_got[@@_OUTPUTS];
        @(@_test_inputs[@_row], @_got);
        for (@_o = 0; @_o < @@_OUTPUTS; @_o++) {
            double @_expected = (double)@_test_outputs[@_row][@_o];
            double @_difference = (double)@_got[@_o] - @_expected;
            if (@_difference >= -@_test_tolerances[@_o] && @_difference <= @_test_tolerances[@_o]) continue;
            printf("row %d, output %d: expected %.$digits, got %.$digits\\n", @_row, @_o, @_expected,
                   (double)@_got[@_o]);
            @_wrong++;
        }
    }
    return @_wrong != 0;
}
#endif
"""


def write(
    net: Network,
    path: str | os.PathLike[str],
    weights: str | None = None,
    function: str = "predict",
    *,
    X: ArrayLike | None = None,
) -> None:
    """Write a network as a file of C99; `Network.to_c` has the arguments."""
    _check(net, weights, function)
    atomic.write(path, _text(net, weights == "int8", function, X).encode("ascii"))


def _check(net: Network, weights: Any, function: Any) -> None:
    allowed = WEIGHTS[net.dtype.name]
    if weights is not None and weights not in allowed:
        expected = " or ".join(map(repr, allowed))
        raise ValueError(f"weights: expected {expected} for a {net.dtype.name} network, got {weights!r:.60}")
    if not isinstance(function, str):
        raise TypeError(f"function: expected a name, got {type(function).__name__}")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,30}", function) or "__" in function:
        raise ValueError(
            "function: expected an identifier of C, of at most 31 letters, digits and single underscores, that begins "
            f"with a letter, got {function!r:.60}"
        )
    if function in KEYWORDS:
        raise ValueError(f"function: expected a name that is no keyword of C or C++ and not main, got {function!r}")
    if function in LIBRARY or function.endswith("_t") or function.isupper():
        raise ValueError(
            "function: expected a name that the C library does not use for a function, a type (..._t) or a macro "
            f"(capitals only), got {function!r}; use 'predict' or 'my_{function.lower().removesuffix('_t')}'"
        )
    for layer, f in enumerate((*net.activation, net.output_activation)):
        if isinstance(f, CustomActivation):
            raise ValueError(
                f"activation: layer {layer} has a CustomActivation, whose functions are Python code that a C file "
                "cannot hold; replace it by one of docs/activations.md"
            )
    if net.encoder is not None and net.encoder.text_columns:
        raise ValueError(
            "encoder: expected one of numbers only, as the C function takes numbers, but these columns are text, "
            f"categories, booleans or dates: {', '.join(map(repr, net.encoder.text_columns)):.200}; encode them before "
            "and train a network on the numbers"
        )
    net._refuse_unscaled("to_c")


def _text(net: Network, int8: bool, function: str, X: Any) -> str:
    """Return the content of the file."""
    dtype, functions = net.dtype.name, [*net.activation, net.output_activation]
    inputs, targets = (each if isinstance(each, Scaling) else None for each in (net.input_scaling, net.target_scaling))
    in_dtype = "float64" if inputs is not None and inputs.needs_float64 else dtype
    out_dtype = "float64" if targets is not None and targets.needs_float64 else dtype
    pairs = list(zip(net.weights, net.biases, strict=True))
    rows, expected = _test_rows(net, X, np.dtype(in_dtype), pairs, functions)
    notes = _notes(net, in_dtype, out_dtype)
    if int8:
        layers, data, quantised = c_int8.layers(pairs)
        exact, expected = expected, c_int8.predict(quantised, functions, inputs, targets, rows).astype(out_dtype)
        notes.append(
            "Weights are int8. For the stored rows, outputs differ from those with float32 weights by up to "
            f"{np.abs(expected - exact).max():.2g}; the largest output is {np.abs(exact).max():.2g}."
        )
    else:
        layers, data = _layers(pairs, dtype)
    fields = {
        "n_inputs": net.sizes[0], "n_outputs": net.sizes[-1], "size": net.dtype.itemsize, "has_fma": HAS_FMA[dtype],
        "input_type": _TYPES[in_dtype], "output_type": _TYPES[out_dtype], "suffix": "f" if dtype == "float32" else "",
        "include": "#include <math.h>\n" if any(isinstance(f, a.Sine) for f in functions) else "",
        "n_rows": len(rows), "digits": "9g" if out_dtype == "float32" else "17g",
        "tolerances": table(_tolerances(net, expected, int8), "float64"),
    }  # fmt: skip
    code, scalings = _code(net.sizes, layers, functions, inputs, targets, in_dtype, out_dtype, dtype)
    data |= scalings

    def finished(text: str) -> str:
        text = substitute(string.Template(text).safe_substitute(fields), dtype)
        return text.replace("@@", function.upper()).replace("@", function)

    note = "\n".join(textwrap.fill(n, 116, initial_indent=" * ", subsequent_indent=" *   ") for n in notes)
    title = f"/* {_in_comment(repr(net))}, written by fastmlp {__version__}.\n *\n{note}\n"
    arrays_text = "".join(
        finished(f"\n/* {comment} */\nstatic const {c_type} @_{name}[] @@_ALIGNED = {{\n") + numbers + "\n};\n"
        for name, (comment, c_type, numbers) in data.items()
    )
    before, middle, after = SELF_TEST.split("$rows")
    test = finished(before) + table(rows, in_dtype) + finished(middle) + table(expected, out_dtype) + finished(after)
    return title + finished(HEAD) + arrays_text + finished("".join(helpers(code)) + code) + test


_TYPES = {"float32": "float", "float64": "double"}


def _layers(pairs: list[tuple[Any, Any]], dtype: str) -> tuple[list[Layer], dict[str, tuple[str, str, str]]]:
    """Return the layers of a network whose weights have its own dtype, and the arrays that they read."""
    made, numbers, at = [], [], 0
    panel = PANEL_BYTES // np.dtype(dtype).itemsize
    for w, b in pairs:
        n_outputs, n_inputs = w.shape
        by_rows = n_inputs >= 16 and n_outputs * (n_inputs // 8 + 8) < n_inputs * -(-n_outputs // 8)
        width = n_outputs if by_rows else panel
        functions, calls, bias = {}, "", at + w.size
        for first in range(0, n_outputs, width):
            part = w[first : first + width]
            numbers.append((part if by_rows else part.T).ravel())
            kind, count = "rows" if by_rows else "columns", len(part)
            most = next(k for k in (8, 4, 2, 1) if k <= n_inputs)
            fields = {"n_inputs": n_inputs, "n_outputs": count, "most": most}
            functions[f"{kind}_{n_inputs}_{count}"] = string.Template(ROWS if by_rows else COLUMNS).substitute(fields)
            if first == 0 or count < width:
                y = f"y + {first}" if first else "y"
                calls += (
                    f"    @_{kind}_{n_inputs}_{count}(@_parameters + {at + first * n_inputs}, "
                    f"@_parameters + {bias + first}, x, {y});\n"
                )
        n_panels = n_outputs // width
        if n_panels > 1:
            whole, *rest = calls.splitlines(keepends=True)
            step = (
                f"@_parameters + {at} + i * {width * n_inputs}, @_parameters + {bias} + i * {width}, x, y + i * {width}"
            )
            whole = f"    for (i = 0; i < {n_panels}; i++)\n        @_columns_{n_inputs}_{width}({step});\n"
            calls = whole + "".join(rest)
        numbers.append(b)
        at = bias + len(b)
        made.append(Layer(functions, calls, not by_rows))
    numbers.append(np.zeros(PAD, dtype))
    comment = "Of each layer the weights, in the order in which they are read, then the biases."
    return made, {"parameters": (comment, "REAL", table(np.concatenate(numbers), dtype))}


def _code(
    sizes: tuple[int, ...],
    layers: list[Layer],
    functions: list[Activation],
    inputs: Scaling | None,
    targets: Scaling | None,
    in_dtype: str,
    out_dtype: str,
    dtype: str,
) -> tuple[str, dict[str, tuple[str, str, str]]]:
    """Return the functions of the file after its head, and the arrays of the scalings."""
    data: dict[str, tuple[str, str, str]] = {}
    parts: dict[str, str] = {name: text for layer in layers for name, text in layer.functions.items()}
    names: dict[Activation, str] = {}
    body, x, used = "", "input", {"o"}
    if inputs is not None:
        body += _scale_inputs(inputs, sizes[0], in_dtype, dtype, data)
        x = "first"
    for number, (layer, f, n_outputs) in enumerate(zip(layers, functions, sizes[1:], strict=True)):
        y = "second" if x == "first" else "first"
        body += f"\n    /* layer {number} */\n" + re.sub(r"\by\b", y, re.sub(r"\bx\b", x, layer.calls))
        if "(i = 0" in layer.calls:
            used.add("i")
        if isinstance(f, a.Softmax):
            parts["softmax"] = SOFTMAX
            body += f"    @_softmax({y}, {n_outputs});\n"
        elif not isinstance(f, a.Identity):
            if f not in names:
                names[f] = f"activation_{number}"
                head = f"\n/* {f!r} */\nstatic @@_INLINE REAL @_{names[f]}(REAL z) {{\n"
                parts[names[f]] = head + BODIES[type(f)](f, dtype) + "}\n"
                if isinstance(f, a.Sine):
                    text = string.Template(FAR_SINE).substitute(function=names[f], omega=repr(f.omega))
                    parts["all_" + names[f]] = text
            count = f"@@_WHOLE({n_outputs})" if layer.whole else str(n_outputs)
            if isinstance(f, a.Sine):
                body += f"    @_all_{names[f]}({y}, {count});\n"
            else:
                body += f"    for (o = 0; o < {count}; o++) {y}[o] = @_{names[f]}({y}[o]);\n"
        x = y
    body += _scale_outputs(targets, sizes[-1], x, out_dtype, dtype, data)
    width = max(sizes) + PAD
    buffers = [name for name in ("first", "second") if re.search(rf"\b{name}\b", body)]
    declared = "".join(f"    REAL {name}[{width}] @@_ALIGNED;\n" for name in buffers)
    declared += f"    int {', '.join(sorted(used))};\n"
    return "".join(parts.values()) + MAIN.replace("$body", declared + body), data


def _scale_inputs(inputs: Scaling, n: int, in_dtype: str, dtype: str, data: dict[str, tuple[str, str, str]]) -> str:
    """Return the statements of (input - offset) / scale; in float32, the offset is the sum of two numbers."""
    loop = f"    for (o = 0; o < {n}; o++) first[o] = "
    if in_dtype == "float64":
        data["input_offset"] = ("The input scaling: (input - offset) / scale", "double", table(inputs.offset, in_dtype))
        data["input_scale"] = ("", "double", table(inputs.scale, in_dtype))
        return loop + "(REAL)((input[o] - @_input_offset[o]) / @_input_scale[o]);\n"
    high = inputs.offset.astype(np.float32)
    comment = "The input scaling: (input - offset) factor, where the offset is the sum of two numbers"
    data["input_offset"] = (comment, "float", table(high, dtype))
    data["input_offset_rest"] = ("", "float", table((inputs.offset - high).astype(np.float32), dtype))
    data["input_factor"] = ("", "float", table((1 / inputs.scale).astype(np.float32), dtype))
    return loop + "((input[o] - @_input_offset[o]) - @_input_offset_rest[o]) * @_input_factor[o];\n"


def _scale_outputs(
    targets: Scaling | None, n: int, y: str, out_dtype: str, dtype: str, data: dict[str, tuple[str, str, str]]
) -> str:
    """Return the statements that write the outputs: y scale + offset, or y."""
    loop = f"\n    for (o = 0; o < {n}; o++) output[o] = "
    if targets is None:
        return loop + f"{y}[o];\n"
    comment = "The target scaling: y scale + offset"
    if out_dtype == "float64":
        data["output_scale"] = (comment, "double", table(targets.scale, out_dtype))
        data["output_offset"] = ("", "double", table(targets.offset, out_dtype))
        return loop + f"(double){y}[o] * @_output_scale[o] + @_output_offset[o];\n"
    high = targets.offset.astype(np.float32)
    data["output_scale"] = (
        comment + ", where the offset is the sum of two numbers",
        "float",
        table(targets.scale, dtype),
    )
    data["output_offset"] = ("", "float", table(high, dtype))
    data["output_offset_rest"] = ("", "float", table((targets.offset - high).astype(np.float32), dtype))
    return loop + f"({y}[o] * @_output_scale[o] + @_output_offset[o]) + @_output_offset_rest[o];\n"


# ------------------------------------------------------------------------------------------- rows of the self-test


def _test_rows(net: Network, X: Any, dtype: np.dtype[Any], pairs: list[Any], functions: list[Activation]) -> Any:
    """Return rows for the self-test, of X or drawn, and what the network predicts for them.

    Rows are left out where outputs are not finite, or a sum is so near an activation's jump that rounding may move it
    to the other side.
    """
    scaling = net.input_scaling if isinstance(net.input_scaling, Scaling) else None
    if X is None:
        rows = np.random.default_rng(0).standard_normal((DRAWN_ROWS, net.sizes[0]))
        rows = (rows if scaling is None else rows * scaling.scale + scaling.offset).astype(dtype)
        X = rows
        if net.encoder is not None:  # which takes frames; of a column, the first input is its number
            firsts = np.cumsum([0, *(len(known.names_out) for known in net.encoder._known)])
            X = PlainFrame({name: rows[:, first] for name, first in zip(net.encoder.columns, firsts, strict=False)})
    rows = arrays.as_array("X", schemas.to_inputs(net._columns[2], X))
    if rows.dtype.kind not in "fiub":
        raise TypeError(f"X: expected real numbers, got dtype {rows.dtype}")
    with np.errstate(over="ignore"):
        rows = np.atleast_2d(rows).astype(dtype)
    if rows.ndim != 2 or rows.shape[1] != net.sizes[0] or len(rows) == 0:
        raise ValueError(f"X: expected shape (B, {net.sizes[0]}) with B >= 1, got shape {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError("X: expected finite numbers, got one that is not")
    with np.errstate(all="ignore"):
        outputs = np.atleast_2d(net.predict(rows if net.encoder is None else X))
        kept = np.isfinite(outputs).all(axis=1)
        y = rows.astype(np.float64) if scaling is None else scaling.apply(rows)
        for (w, b), f in zip(pairs, functions, strict=True):
            z = y @ w.T.astype(np.float64) + b
            for jump in JUMPS.get(type(f), ()):
                kept &= (np.abs(z - jump) > 1e-4 * (1 + np.abs(z).max())).all(axis=1)
            y = FUNCTIONS[type(f)](f, z)
    if not kept.any():
        raise ValueError(
            "X: expected a row whose outputs are finite and that is not at a jump of an activation, for the self-test, "
            f"got none among {len(rows)}; give other rows"
        )
    return rows[kept][:TESTED_ROWS], outputs[kept][:TESTED_ROWS]


def _tolerances(net: Network, expected: NDArray[Any], int8: bool) -> NDArray[np.float64]:
    """Return for each output the difference that rounding alone can make between two orders of the same sums.

    A layer adds about sqrt(I) + 4 ULP, of the largest output before target scaling; 16 is for sums that are smaller
    than their terms. With int8 an input of a layer may be rounded to its other neighbour. Target scaling rounds once.
    """
    eps = float(np.finfo(net.dtype).eps)
    ulp = 2.0**-12 if int8 else eps
    layers = len(net.sizes) - 1 if int8 else sum(np.sqrt(n) + 4 for n in net.sizes[:-1])
    targets = net.target_scaling if isinstance(net.target_scaling, Scaling) else None
    outputs = expected.astype(np.float64)
    plain, scale = (outputs, np.ones(net.sizes[-1])) if targets is None else (targets.apply(outputs), targets.scale)
    rounding = 0.0 if targets is None else 4 * eps * np.abs(outputs).max(axis=0)
    return np.asarray(16 * ulp * layers * max(float(np.abs(plain).max()), 1e-30) * np.abs(scale) + rounding)


def _notes(net: Network, in_dtype: str, out_dtype: str) -> list[str]:
    """Return what the head comment says of inputs and outputs."""
    scaled = [f"{what} scaling" for what in ("input", "target") if getattr(net, f"{what}_scaling") is not None]
    notes = [
        f"{net.sizes[0]} inputs ({_TYPES[in_dtype]}), {net.sizes[-1]} outputs ({_TYPES[out_dtype]}): those of "
        f"predict{', with ' + ' and '.join(scaled) if scaled else ''}, up to rounding."
    ]
    inputs = net.feature_names if net.encoder is None else net.encoder.feature_names_out
    for what, names in (("Inputs", inputs), ("Classes", net.class_names)):
        if names is not None:
            notes.append(f"{what}: {_in_comment(', '.join(map(str, names)))}.")
    if net.encoder is not None:
        notes.append("Missing numbers are not replaced: give the median of the training rows in their place.")
    return notes


def _in_comment(text: str) -> str:
    """Return a text that stands in a comment of C: printable ASCII, without what ends or begins a comment."""
    plain = text.encode("ascii", "backslashreplace").decode()
    plain = "".join(c if c.isprintable() else " " for c in plain)
    return re.sub(r"([*/?\\])(?=[*/?\\]|$)", r"\1 ", plain)
