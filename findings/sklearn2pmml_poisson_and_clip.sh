#!/usr/bin/env bash
# sklearn2pmml 0.133.1: the PMML of a Poisson MLPRegressor lacks its exp, and that of MinMaxScaler(clip=True) its clip.
#
# Since scikit-learn 1.7 MLPRegressor(loss="poisson") predicts exp of its last layer. sklearn2pmml takes the estimator
# without a warning and writes the network with an identity at its end: the file predicts the logarithm. MinMaxScaler with
# clip=True becomes the plain scaling, so rows outside the range of training are extrapolated. Both files are valid, and
# the author's own evaluator, JPMML, computes what they say. Whoever reads such files cannot tell them from right ones.
#
# Seen (sklearn2pmml 0.133.1, jpmml_evaluator 0.16.0, scikit-learn 1.9.0, OpenJDK 17)
#     Poisson   scikit-learn 2.01   JPMML 0.70, which is the logarithm
#     clip      scikit-learn 1.00   JPMML 2.00, for a row at twice the range
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q sklearn2pmml==0.133.1 "jpmml_evaluator[jpype]==0.16.0" scikit-learn==1.9.0 pandas==3.1.1 > log 2>&1 || { cat log; exit 1; }
env/bin/python - <<'PYTHON'
import warnings

import numpy as np
import pandas as pd
from jpmml_evaluator import make_evaluator
from sklearn2pmml import make_pmml_pipeline, sklearn2pmml
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

warnings.simplefilter("ignore")
X = pd.DataFrame({"x": np.linspace(0.0, 1.0, 50)})


def jpmml(steps, y, row):
    """Return what the pipeline predicts of a row, and what JPMML makes of its file."""
    pipeline = Pipeline(steps).fit(X, y)
    sklearn2pmml(make_pmml_pipeline(pipeline, ["x"], ["y"]), "m.pmml")
    frame = pd.DataFrame({"x": [row]})
    result = make_evaluator("m.pmml").verify().evaluateAll(frame)
    return float(pipeline.predict(frame)[0]), float(result["y"].iloc[0])


mlp = MLPRegressor(hidden_layer_sizes=(4,), loss="poisson", solver="lbfgs", max_iter=200, random_state=0)
ours, theirs = jpmml([("mlp", mlp)], np.exp(X["x"] + 0.2), 0.5)
print(f"Poisson   scikit-learn {ours:.6f}   JPMML {theirs:.6f}   its exp {np.exp(theirs):.6f}")
assert abs(np.log(ours) - theirs) < 1e-9 and abs(ours - theirs) > 0.1
ours, theirs = jpmml([("scaler", MinMaxScaler(clip=True)), ("line", LinearRegression())], X["x"], 2.0)
print(f"clip      scikit-learn {ours:.6f}   JPMML {theirs:.6f}")
assert abs(ours - 1) < 1e-9 and abs(theirs - 2) < 1e-9
PYTHON
