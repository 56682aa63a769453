#!/usr/bin/env bash
# scikit-learn 1.9.1: an MLP whose sample weights are all -1 learns what it learns with weights of +1.
#
# MLPClassifier and MLPRegressor take negative sample weights without a word and divide a batch's loss by the sum of its
# weights. So the sign of weights that are all negative cancels: "unlearn these rows" learns them. Weights whose sum is
# just above 0 make the loss a hundred times larger, and weights that add up to 0 end in a ZeroDivisionError from
# NumPy's average: only the last one tells a user of signed weights (policy gradients, physics) that something is off.
#
# Seen (Python 3.11, NumPy 2.4): loss curves of weights None, all -1, and 20 times +1 beside 20 times -0.999
#     0.9814 0.9799 0.9784      0.9814 0.9799 0.9784      121.6 120.5 119.4
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q scikit-learn==1.9.1
"$folder/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from sklearn.neural_network import MLPClassifier

X, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
first = np.arange(40) < 20


def curve(weights):
    model = MLPClassifier([4], max_iter=3, random_state=0, shuffle=False).fit(X, y, sample_weight=weights)
    return np.array(model.loss_curve_)


plain, negative, mixed = curve(None), curve(-np.ones(40)), curve(np.where(first, 1.0, -0.999))
print(plain.round(4), negative.round(4), mixed.round(1))
assert np.allclose(plain, negative, rtol=1e-4), "negative weights do something else now"
assert mixed[0] > 50 * plain[0]
try:
    curve(np.where(first, 1.0, -1.0))
except ZeroDivisionError as error:
    print("ZeroDivisionError:", error)
else:
    raise SystemExit("weights that add up to 0 are taken now")
PYTHON
