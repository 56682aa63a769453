#!/usr/bin/env bash
# scikit-learn 1.9.1 with Optuna 5.0.0: a trial that is a parameter of an estimator reports to a study that nobody reads.
#
# `clone`, which every cross-validation and search calls, makes a deep copy of parameters that are no estimators. The deep
# copy of an Optuna trial has a copy of its study and of the storage in memory. A cloned estimator that calls
# trial.report and trial.should_prune therefore works on that copy: no error and no warning, the study has no
# intermediate value, and nothing is ever pruned. The value of the trial itself arrives, as the objective returns it.
#
# Seen (Python 3.11): reported by the clone {0: 1.0}, in the study {}.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q scikit-learn==1.9.1 optuna==5.0.0
"$folder/env/bin/python" - <<'PYTHON'
import optuna
from sklearn.base import BaseEstimator, clone

optuna.logging.set_verbosity(optuna.logging.ERROR)


class Reporting(BaseEstimator):
    def __init__(self, trial=None):
        self.trial = trial

    def fit(self, X, y=None):
        self.trial.report(1.0, step=0)
        return self


study = optuna.create_study()
trial = study.ask()
cloned = clone(Reporting(trial)).fit([[0.0]])
elsewhere = cloned.trial.study.trials[0].intermediate_values
print("reported by the clone", elsewhere, "in the study", study.trials[0].intermediate_values)
assert cloned.trial is not trial
assert elsewhere == {0: 1.0}
assert study.trials[0].intermediate_values == {}, "the study hears of a clone's reports now"
Reporting(trial).fit([[0.0]])
assert study.trials[0].intermediate_values == {0: 1.0}
PYTHON
