"""scikit-learn's MLPClassifier: the same layers, batches, epochs and rate.

It has no batch normalization, no dropout, no decoupled decay and, with Adam, no schedule; and no
evaluation of a given validation set each epoch: it is evaluated once, at the end. It does less than
the others, therefore.
"""

from __future__ import annotations

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from benchmarks.case import BATCH_SIZE, BETAS, DEPTH, EPSILON, LEARNING_RATE, Case, Data


def train(case: Case, data: Data, seed: int) -> float:
    """Train one net and return its validation accuracy after the last epoch."""
    net = MLPClassifier(
        hidden_layer_sizes=(case.width,) * DEPTH,
        activation="relu",
        solver="adam",
        batch_size=BATCH_SIZE,  # type: ignore[arg-type] -- annotated by its default, 'auto'
        learning_rate_init=LEARNING_RATE,
        beta_1=BETAS[0],
        beta_2=BETAS[1],
        epsilon=EPSILON,
        max_iter=case.epochs,
        n_iter_no_change=case.epochs + 1,
        early_stopping=False,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it runs all its epochs, as it should
        net.fit(data.X, data.y)
    return float(net.score(data.X_valid, data.y_valid))
