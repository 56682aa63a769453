"""scikit-learn's multilayer perceptrons, trained and run by `fastmlp.Network`.

    from fastmlp.sklearn import MLPClassifier, MLPRegressor

replaces the import of these classes from `sklearn.neural_network`; docs/coming_from_scikit_learn.md lists the
additions and differences. scikit-learn must be installed (the extra `sklearn` does that). No other module of fastmlp
imports this package.
"""

try:
    from .estimators import MLPClassifier, MLPRegressor
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "sklearn":
        raise
    raise ModuleNotFoundError("fastmlp.sklearn needs scikit-learn: pip install scikit-learn") from error

__all__ = ["MLPClassifier", "MLPRegressor"]
