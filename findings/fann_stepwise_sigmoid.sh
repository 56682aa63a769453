#!/usr/bin/env bash
# FANN 2.2.0: the stepwise sigmoid is not symmetric, its corners at the left are not those at the right.
#
# FANN_SIGMOID_STEPWISE is made of lines between six points. The outer and the next ones are at -2.64665246 and
# -1.47221947, and at 2.64665294 and 1.47221935: sigmoid(-x) = 1 - sigmoid(x) does not hold. It is off by up to 1.4e-8
# within, and by 0.005 between 2.64665246 and 2.64665294, where the left side has already jumped to 0 and the right side
# not yet to 1. The points of FANN_SIGMOID_SYMMETRIC_STEPWISE mirror each other. A converter that mirrors one side, as the
# formula suggests, is right in float32 and not in double.
#
# Seen (Debian 12, libfann2 2.2.0+ds-8, its libdoublefann; the argument is steepness times sum)
#     stepwise            corners -2.64665246 -1.47221947 1.47221935 2.64665294   at 2.6466527: f(x) + f(-x) = 0.995
#     symmetric stepwise  corners -2.64665294 -1.47221935 1.47221935 2.64665294   at 2.6466527: f(x) + f(-x) = 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -q libfann2=2.2.0+ds-8 > log 2>&1 || { cat log; exit 1; }
dpkg-deb -x libfann2_*.deb .
python3 - usr/lib/*/libdoublefann.so.2 <<'PYTHON'
import ctypes
import sys

fann = ctypes.CDLL(sys.argv[1])
fann.fann_create_standard_array.restype = ctypes.c_void_p
fann.fann_run.restype = ctypes.POINTER(ctypes.c_double)
network = ctypes.c_void_p(fann.fann_create_standard_array(2, (ctypes.c_uint * 2)(1, 1)))  # one input, one output
fann.fann_set_weight(network, 0, 2, ctypes.c_double(1.0))
fann.fann_set_weight(network, 1, 2, ctypes.c_double(0.0))  # the bias
fann.fann_set_activation_steepness_output(network, ctypes.c_double(1.0))


def f(x):
    return fann.fann_run(network, ctypes.byref(ctypes.c_double(x)))[0]


def jump(inside, outside):
    """Return the end of the outer line: beyond it, the output is that at `outside`."""
    limit = f(outside)
    for _ in range(100):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if f(middle) == limit else (middle, outside)
    return inside


def crossing(a, b, c, d):
    """Return where the line through a and b meets that through c and d."""
    s, t = (f(b) - f(a)) / (b - a), (f(d) - f(c)) / (d - c)
    return (f(c) - t * c - f(a) + s * a) / (s - t)


def corners(function):
    fann.fann_set_activation_function_output(network, function)
    right = crossing(0.6, 1.4, 1.5, 2.6), jump(2.6, 2.7)
    return jump(-2.6, -2.7), crossing(-2.6, -1.5, -1.4, -0.6), *right


x = 2.6466527
seen = corners(4)  # FANN_SIGMOID_STEPWISE
print("stepwise          ", *(f"{corner:.8f}" for corner in seen), f(x) + f(-x))
expected = -2.64665246, -1.47221947, 1.47221935, 2.64665294
assert all(abs(a - b) < 1.5e-8 for a, b in zip(seen, expected)), "the corners are others now"
assert abs(f(x) + f(-x) - 0.995) < 1e-6 and 1e-9 < abs(f(2.0) + f(-2.0) - 1) < 1e-7
seen = corners(6)  # FANN_SIGMOID_SYMMETRIC_STEPWISE
print("symmetric stepwise", *(f"{corner:.8f}" for corner in seen), f(x) + f(-x))
assert abs(seen[0] + seen[3]) < 1e-9 and abs(seen[1] + seen[2]) < 1e-9 and f(x) + f(-x) == 0
fann.fann_destroy(network)
PYTHON
