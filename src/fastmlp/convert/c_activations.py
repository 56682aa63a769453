"""The activations in C: the text of a function for each, for the files that c_writer.py writes.

The formulas are those of csrc/kernels/math.inc and activations.inc, for one number and without branches, so that
compilers vectorise a loop over them: a comparison of bits clips a number, and a mask of bits selects one of two. (GCC
makes jumps of two clips one after the other by `?:`, and a loop with jumps is not vectorised.) NaN gives NaN.

In the texts, `@` stands for the name of the exported function, `@@` for it in capital letters, `REAL` for float or
double, `UINT` and `INT` for integers of the same width. `R(a)` is the constant a of the table or number that follows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import activations as a
from ..activations import Activation
from .functions import SELU_ALPHA, SELU_SCALE, SIGMOID_CORNERS, TANH_CORNERS

# The helpers in C by their names, each after those that it calls.
HELPERS = {
    "nan": """
/* All bits set where x is NaN, else 0. */
INLINE UINT @_nan(REAL x) {
    @_word a;
    a.real = x;
    return 0u - ((INFINITY_BITS - (a.bits & SIZE_BITS)) >> (WIDTH - 1));
}
""",
    "or": """
/* x with more bits set: its sign, or all, which make it NaN. */
INLINE REAL @_or(REAL x, UINT bits) {
    @_word a;
    a.real = x;
    a.bits |= bits;
    return a.real;
}
""",
    "sign": """
INLINE UINT @_sign(REAL x) {
    @_word a;
    a.real = x;
    return a.bits & SIGN_BIT;
}
""",
    "size": """
/* |x|, at most limit >= 0; limit if x is NaN. */
INLINE REAL @_size(REAL x, REAL limit) {
    @_word a, b;
    INT size, most;
    a.real = x;
    b.real = limit;
    size = (INT)(a.bits & SIZE_BITS);
    most = (INT)b.bits;
    a.bits = (UINT)(size < most ? size : most);
    return a.real;
}
""",
    "select": """
/* x where condition is 1, y where it is 0. */
INLINE REAL @_select(int condition, REAL x, REAL y) {
    @_word a, b;
    UINT mask = 0u - (UINT)condition;
    a.real = x;
    b.real = y;
    a.bits = (a.bits & mask) | (b.bits & ~mask);
    return a.real;
}
""",
    "negative": """
/* 1 where the sign of x is set, else 0. */
INLINE int @_negative(REAL x) {
    @_word a;
    a.real = x;
    return (int)(a.bits >> (WIDTH - 1));
}
""",
    "exp": """
/* exp(-|x|) - less for less = 0 or 1: 2^k (1 + p) with k = round(-|x| / ln 2), p = exp r - 1, r = -|x| - k ln 2. */
INLINE REAL @_exp(REAL x, REAL less) {
    @_word shifted, shift, power;
    REAL k, r, p, size = -@_size(x, R(exp_limit));
    shift.real = R(shift);
    shifted.real = @@_FMA(size, R(log2e), shift.real);
    k = shifted.real - shift.real;
    r = @@_FMA(k, R(ln2_high), size);
    r = @@_FMA(k, R(ln2_low), r);
    p = R(exp_0);
    HORNER(p, r, exp)
    p = @@_FMA(p, r * r, r);
    power.real = R(1);
    power.bits += (shifted.bits - shift.bits) << MANTISSA;
    return @_or(@@_FMA(power.real, p, power.real - less), @_nan(x));
}
""",
    "sigmoid": """
/* 1 / (1 + exp(-x)) */
INLINE REAL @_sigmoid(REAL x) {
    REAL e = @_exp(x, R(0));
    return @_select(@_negative(x), e, R(1)) / (R(1) + e);
}
""",
    "log1p": """
/* ln(1 + x) for 0 <= x <= 1: 2 artanh s with s = x / (2 + x). */
INLINE REAL @_log1p(REAL x) {
    REAL s = x / (R(2) + x), square = s * s, p = R(log_0);
    HORNER(p, square, log)
    s = @@_FMA(s * square, p, s);
    return s + s;
}
""",
    "tail": """
/* The tail of the normal distribution, Phi(-|x|). */
INLINE REAL @_tail(REAL x) {
    REAL u = @_size(x, R(tail_limit)), p = R(tail_p_0), q = R(tail_q_0);
    HORNER(p, u, tail_p)
    HORNER(q, u, tail_q)
    return @_exp(R(0.5) * u * u, R(0)) * p / q;
}
""",
}

CONSTANTS: dict[str, dict[str, list[float]]] = {
    "float32": {
        "exp_limit": [88.0],
        "shift": [12582912.0],
        "log2e": [1.44269504],
        "ln2_high": [-0.693359375],
        "ln2_low": [2.12194440e-4],
        "exp": [1.39261835877134945e-3, 8.36317905272257737e-3, 4.16665546172045742e-2, 1.66665769896987757e-1, 0.5],
        "log": [1.161216497e-01, 1.085328758e-01, 1.429617852e-01, 1.999985278e-01, 3.333333433e-01],
        "tail_limit": [13.6],
        "tail_p": [
            4.0421846103508702498e-3, 4.013539412405309032e-2, 1.8175958102997528568e-1, 4.3630417559160998427e-1, 0.5,
        ],
        "tail_q": [
            1.0132117045061298436e-2, 1.0061165907639288784e-1, 4.6557441784306108007e-1, 1.1963758076593828232,
            1.6704932623285730852, 1.0,
        ],
        "tanh_limit": [9.04499912],
        "tanh_p": [1.333544741e-08, 2.059527287e-05, 3.494750243e-03, 1.338032037e-01, 1.0],
        "tanh_q": [7.768696832e-07, 3.284264239e-04, 2.587379701e-02, 4.671363235e-01, 1.0],
        "gate_limit": [128.0],
        "softsign_limit": [1e30],
        "two_over_pi": [0.636619772],
        "half_pi": [1.5703125, 4.83751296997070313e-4, 7.54953362047672272e-8, 2.56334406825708960e-12],
        "sin": [-1.958763896e-04, 8.332747035e-03, -1.666666418e-01],
        "cos": [2.454768946e-05, -1.388830133e-03, 4.166666418e-02],
        "near": [8192.0],
    },
    "float64": {
        "exp_limit": [709.0],
        "shift": [6755399441055744.0],
        "log2e": [1.4426950408889634],
        "ln2_high": [-6.93147180369123816490e-01],
        "ln2_low": [-1.90821492927058770002e-10],
        "exp": [
            2.09146869680868772e-9, 2.51052170047207452e-8, 2.75572736431102953e-7, 2.75572554002064244e-6,
            2.48015873255477412e-5, 1.98412698748206253e-4, 1.38888888888837483e-3, 8.33333333332613513e-3,
            4.16666666666666698e-2, 1.66666666666666710e-1, 0.5,
        ],
        "log": [
            0.08082022805971766, 0.04400369243072337, 0.06000536404795356, 0.06657072104827468, 0.07692785032479312,
            0.09090894718066429, 0.11111111358713932, 0.1428571428355438, 0.20000000000007292, 0.3333333333333333,
        ],
        "tail_limit": [38.5],
        "tail_p": [
            2.2162634043179085779e-7, 6.9091757285708736127e-6, 1.057126060595659468e-4, 1.0326722830804573822e-3,
            7.0828097356381075515e-3, 3.550428555220178575e-2, 0.13156763953857550398, 0.35637307509090310449,
            0.67835483708897275012, 0.82712471551534144968, 0.5,
        ],
        "tail_q": [
            5.5553485132918283867e-7, 1.7318735235662215578e-5, 2.655377421817765382e-4, 2.6058442786498738543e-3,
            1.80178422752871448e-2, 9.1549934414705573896e-2, 0.34702071984884262653, 0.97728715431841696841,
            1.9972730803456656408, 2.8132295272818266469, 2.4521339918335484286, 1.0,
        ],
        "gate_limit": [1024.0],
        "softsign_limit": [1e300],
        "two_over_pi": [0.63661977236758134],
        "half_pi": [1.57079632673412561, 6.07710050630396598e-11, 2.02226624879595063e-21],
        "sin": [
            1.5917988979397435e-10, -2.5051129896450185e-08, 2.7557316093198404e-06, -0.00019841269836740532,
            0.008333333333330936, -0.16666666666666666,
        ],
        "cos": [
            -1.138254464534925e-11, 2.087614504941318e-09, -2.755731726587808e-07, 2.48015872987544e-05,
            -0.0013888888888887389, 0.041666666666666664,
        ],
        "near": [1048576.0],
    },
}  # fmt: skip

CALL = re.compile(r"(?<!@)@_(\w+)\(")
GATED = "    return (z < -R(gate_limit) ? -R(gate_limit) : z) * gate;\n"
TANH = {
    # x P(x^2) / Q(x^2). Both polynomials by Estrin's scheme, which ends earlier than Horner's. P |x| is at most Q, so
    # that no result is above 1: clipping the quotient instead, GCC divides twice.
    "float32": """    @_word p, q;
    REAL size = @_size(z, R(tanh_limit)), s = size * size, t = s * s;
    p.real = @@_FMA(@@_FMA(R(tanh_p_0), t, @@_FMA(R(tanh_p_1), s, R(tanh_p_2))), t, @@_FMA(R(tanh_p_3), s, R(1)));
    q.real = @@_FMA(@@_FMA(R(tanh_q_0), t, @@_FMA(R(tanh_q_1), s, R(tanh_q_2))), t, @@_FMA(R(tanh_q_3), s, R(1)));
    p.real *= size;
    p.bits = (UINT)((INT)p.bits < (INT)q.bits ? (INT)p.bits : (INT)q.bits);
    return @_or(p.real / q.real, @_sign(z) | @_nan(z));
""",
    # -m / (2 + m) with m = exp(-2 |z|) - 1
    "float64": """    REAL m = @_exp(z + z, R(1));
    return @_or(-m / (R(2) + m), @_sign(z));
""",
}
SINE = """    /* k = round(2 u / pi), r = u - k pi / 2, and sin r or cos r by k mod 4 */
    @_word shifted, value;
    REAL k, r, square, sine, cosine, u = R(*omega) * z;
    shifted.real = @@_FMA(u, R(two_over_pi), R(shift));
    k = R(shift) - shifted.real;
    r = u;
    SUBTRACT(r, k, half_pi)
    square = r * r;
    sine = R(sin_0);
    HORNER(sine, square, sin)
    sine = @@_FMA(r * square, sine, r);
    cosine = R(cos_0);
    HORNER(cosine, square, cos)
    cosine = @@_FMA(square * square, cosine, @@_FMA(-R(0.5), square, R(1)));
    value.real = @_select((int)(shifted.bits & 1), cosine, sine);
    value.bits ^= (shifted.bits >> 1) << (WIDTH - 1);
    return value.real;
"""


def _elu(scale: float, alpha: float) -> str:
    return (
        "    int below = @_negative(z);\n"
        f"    return @_select(below, R({alpha!r}) * @_exp(@_select(below, z, R(0)), R(1)), R({scale!r}) * z);\n"
    )


def _gelu(f: a.GELU) -> str:
    if f.approximate == "none":
        return "    REAL tail = @_tail(z), gate = @_select(@_negative(z), tail, R(1) - tail);\n" + GATED
    slope = 1.5957691216057307117
    return (
        "    REAL v = @_or(@_size(z, R(gate_limit)), @_sign(z));\n"
        f"    REAL gate = @_sigmoid(v * @@_FMA(R({0.044715 * slope!r}), v * v, R({slope!r})));\n" + GATED
    )


def _piecewise_linear(f: a.PiecewiseLinear, dtype: str) -> str:
    """Return the ramp; where its slope is no normal number of the dtype, of numbers scaled to about 1."""
    limits, slope = np.finfo(dtype), 1 / (f.x_max - f.x_min)
    ramp = f"(z - R({f.x_min!r})) * R({slope!r})"
    if not float(limits.tiny) <= slope <= float(limits.max):
        exponent = math.frexp(max(abs(f.x_min), abs(f.x_max)))[1]
        factor = math.ldexp(1.0, -max(min(exponent, limits.maxexp - 2), 2 - limits.maxexp))
        begin = f"R({factor!r}) * R({f.x_min!r})"
        ramp = f"(R({factor!r}) * z - {begin}) / (R({factor!r}) * R({f.x_max!r}) - {begin})"
    return (
        f"    REAL y = {ramp};\n"
        "    y = @_select(y > R(1), R(1), y);\n"
        f"    y = @_select(z >= R({f.x_max!r}), R(1), y);\n"
        f"    return @_select(z <= R({f.x_min!r}), R(0), y);\n"
    )


def _stepwise(corners: Any, minimum: float, *, odd: bool) -> str:
    """Return lines between corners: a constant below the first, and 1 from the last on."""
    x, y = (np.asarray(each, np.float64).tolist() for each in corners)
    text = f"    REAL y = R({minimum!r});\n"
    for i in range(len(x) - 1):
        slope = (y[i + 1] - y[i]) / (x[i + 1] - x[i])
        line = f"@@_FMA(R({slope!r}), z - R({x[i]!r}), R({y[i]!r}))"
        if odd and i == len(x) // 2 - 1:  # the line through 0
            line = f"R({slope!r}) * z"
        text += f"    y = @_select(z >= R({x[i]!r}), {line}, y);\n"
    return text + f"    return @_or(@_select(z >= R({x[-1]!r}), R(1), y), @_nan(z));\n"


# The body of a function of z, for each activation. Softmax is a function of a row, see c_writer.py.
BODIES: dict[type[Activation], Callable[[Any, str], str]] = {
    a.Sigmoid: lambda f, dtype: f"    return @_sigmoid(R({f.beta!r}) * z);\n",
    a.Tanh: lambda f, dtype: TANH[dtype],
    a.ReLU: lambda f, dtype: "    return z < R(0) ? R(0) : z;\n",
    a.PiecewiseLinear: _piecewise_linear,
    a.Gaussian: lambda f, dtype: (
        f"    REAL u = (z - R({f.mu!r})) * R({1 / f.sigma!r});\n"
        f"    return R({0.39894228040143267794 / f.sigma!r}) * @_exp(R(0.5) * u * u, R(0));\n"
    ),
    a.Threshold: lambda f, dtype: "    return @_or(@_select(z >= R(0), R(1), R(0)), @_nan(z));\n",
    a.LeakyReLU: lambda f, dtype: f"    return z > R(0) ? z : R({f.negative_slope!r}) * z;\n",
    a.ELU: lambda f, dtype: _elu(1.0, f.alpha),
    a.SELU: lambda f, dtype: _elu(SELU_SCALE, SELU_SCALE * SELU_ALPHA),
    a.GELU: lambda f, dtype: _gelu(f),
    a.SiLU: lambda f, dtype: "    REAL gate = @_sigmoid(z);\n" + GATED,
    a.Mish: lambda f, dtype: (
        "    REAL e = @_exp(z, R(0)), square = e * e, large = @@_FMA(R(2), e, R(1));\n"
        "    REAL small = @@_FMA(R(2), e, square);\n"
        "    int below = @_negative(z);\n"
        "    REAL gate = @_select(below, small, large);\n"
        "    gate /= @_select(below, small + R(2), @@_FMA(R(2), square, large));\n" + GATED
    ),
    a.Softplus: lambda f, dtype: (
        f"    REAL positive = @_select(@_negative(z), R(0), z), e = @_exp(R({f.beta!r}) * z, R(0));\n"
        f"    return @@_FMA(R({1 / f.beta!r}), @_log1p(e), positive);\n"
    ),
    a.Softsign: lambda f, dtype: (
        "    REAL size = @_size(z, R(softsign_limit));\n"
        "    return @_or(size / (R(1) + size), @_sign(z) | @_nan(z));\n"
    ),
    a.HardSigmoid: lambda f, dtype: (
        "    REAL u = z + R(3);\n"
        "    return @_or(@_size(@_select(@_negative(u), R(0), u), R(6)) / R(6), @_nan(z));\n"
    ),
    a.HardTanh: lambda f, dtype: (
        f"    REAL y = @_select(z < R({f.min_val!r}), R({f.min_val!r}), z);\n"
        f"    return @_select(z > R({f.max_val!r}), R({f.max_val!r}), y);\n"
    ),
    a.Sine: lambda f, dtype: SINE.replace("*omega", repr(f.omega)),
    a.StepwiseSigmoid: lambda f, dtype: _stepwise(SIGMOID_CORNERS, 0.0, odd=False),
    a.StepwiseTanh: lambda f, dtype: _stepwise(TANH_CORNERS, -1.0, odd=True),
}  # fmt: skip


def literal(value: float, dtype: str) -> str:
    """Return a number of the dtype as a constant of C: the shortest decimal number that is read as the same one.

    Every compiler reads it, also as C++ before C++17, which has no hexadecimal constants. A number too large for the
    dtype becomes its largest one.
    """
    limits = np.finfo(dtype)
    number = np.clip(np.float64(value), -np.float64(limits.max), np.float64(limits.max)).astype(dtype)
    return f"{number!s}f" if dtype == "float32" else str(number)


def substitute(text: str, dtype: str) -> str:
    """Replace what stands for the dtype and its constants in a text; `@` remains."""
    table, single = CONSTANTS[dtype], dtype == "float32"

    def constant(name: str) -> str:
        key, _, index = name.rpartition("_")
        if name in table:
            return literal(table[name][0], dtype)
        if index.isdecimal() and key in table:
            return literal(table[key][int(index)], dtype)
        return literal(float(name), dtype)

    def chain(match: re.Match[str]) -> str:
        indent, kind, value, x, name = match.groups()
        lines = {
            "HORNER": [f"{value} = @@_FMA({value}, {x}, R({name}_{i}));" for i in range(1, len(table[name]))],
            "SUBTRACT": [f"{value} = @@_FMA({x}, R({name}_{i}), {value});" for i in range(len(table[name]))],
        } if name in table else {}  # fmt: skip
        return "\n".join(indent + line for line in lines[kind])

    text = re.sub(r"^( *)(HORNER|SUBTRACT)\((\w+), (\w+), (\w+)\)$", chain, text, flags=re.MULTILINE)
    text = re.sub(r"\bR\(([^()]+)\)", lambda match: constant(match[1]), text)
    words = {
        "REAL": ("float", "double"),
        "UINT": ("uint32_t", "uint64_t"),
        "INT": ("int32_t", "int64_t"),
        "WIDTH": ("32", "64"),
        "MANTISSA": ("23", "52"),
        "SIGN_BIT": ("0x80000000u", "0x8000000000000000u"),
        "SIZE_BITS": ("0x7fffffffu", "0x7fffffffffffffffu"),
        "INFINITY_BITS": ("0x7f800000u", "0x7ff0000000000000u"),
        "INLINE": ("static @@_INLINE",) * 2,
    }
    return re.sub(r"(?<![@\w])[A-Z_]+\b", lambda m: words[m[0]][not single] if m[0] in words else m[0], text)


def helpers(text: str) -> Iterator[str]:
    """Yield the texts of the helpers that a text calls, directly or not, each after those that it calls."""
    called = set(CALL.findall(text))
    for name in reversed(HELPERS):
        if name in called:
            called.update(CALL.findall(HELPERS[name]))
    return (body for name, body in HELPERS.items() if name in called)
