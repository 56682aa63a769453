"""scikit-learn's multilayer perceptrons over `fastmlp.Network`; needs scikit-learn, which the extra `sklearn` installs.

    from fastmlp.sklearn import MLPClassifier, MLPRegressor

in place of the same from `sklearn.neural_network`. What is the same, what is more and what differs:
docs/coming_from_scikit_learn.md. Nothing else of the package imports this one.
"""

from .estimators import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
