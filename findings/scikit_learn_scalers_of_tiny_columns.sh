#!/usr/bin/env bash
# scikit-learn 1.9.1: three of its four scalers leave a column in SI units below 2.2e-15 as it is, and one does not.
#
# MinMaxScaler, MaxAbsScaler and RobustScaler take a range below 10 machine epsilons for that of a constant column,
# whatever the size of its numbers: charges in coulombs (1e-19) or cross sections in square metres (1e-28) come out
# unscaled, without a warning. StandardScaler compares with the column's own size and scales them. So "which scaler"
# decides whether a network sees such a column at all.
#
# Seen (Python 3.11, NumPy 2.4, scikit-learn 1.9.1): a column of 0, 1, 4 times 1.6e-19
#     StandardScaler [-0.98058068 -0.39223227  1.37281295]
#     MinMaxScaler   [0.0e+00 1.6e-19 6.4e-19]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q scikit-learn==1.9.1
"$folder/env/bin/python" - <<'PYTHON'
import numpy as np
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

charges = np.array([[0.0], [1.0], [4.0]]) * 1.6e-19
wide = StandardScaler().fit_transform(charges)
print("StandardScaler", wide.ravel())
assert np.isclose(np.std(wide), 1.0)
for scaler in (MinMaxScaler(), MaxAbsScaler(), RobustScaler()):
    scaled = scaler.fit_transform(charges)
    print(type(scaler).__name__, scaled.ravel())
    assert np.ptp(scaled) == np.ptp(charges), "the column is scaled now"
assert np.ptp(MinMaxScaler().fit_transform(charges * 1e5)) == 1.0  # 1e-14 is scaled
PYTHON
