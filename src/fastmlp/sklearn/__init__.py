"""scikit-learn's multilayer perceptrons over `fastmlp.Network`; needs scikit-learn, which the extra `sklearn` installs.

    from fastmlp.sklearn import MLPClassifier, MLPRegressor

in place of the same from `sklearn.neural_network`. What is the same, what is more and what differs:
docs/coming_from_scikit_learn.md. Nothing else of the package imports this one.
"""

try:
    from .estimators import MLPClassifier, MLPRegressor
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "sklearn":
        raise
    raise ModuleNotFoundError("fastmlp.sklearn needs scikit-learn: pip install scikit-learn") from error

__all__ = ["MLPClassifier", "MLPRegressor"]
