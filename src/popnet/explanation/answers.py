"""A model's answers as the numbers that explanations are about: probabilities, or values in the target's units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from popnet.data.dataset import Features
from popnet.model.model import Model
from popnet.predictions.calibration import tempered
from popnet.predictions.conformal import REPORTED
from popnet.predictions.ensemble import softmax


@dataclass(frozen=True)
class Answers:
    """What a model answers, and what its members do.

    Probabilities are explained as they are and not as log-odds: their parts sum to the number that is read in the
    answer, and log-odds of a vote, or of a member that is sure, have no bound.

    Attributes:
        model: of a table.
    """

    model: Model

    def __call__(self, features: Features) -> np.ndarray:
        """Return probabilities of the classes, or values of the targets in their units, ``(N, O)`` float64."""
        if self.model.is_classifier:
            return self.model.scores(features)
        return self.model.encoder.decode_target(self.model.predict_point(features))

    def spread(self, features: Features) -> np.ndarray | None:
        """Return how far the members' answers lie apart, their weighted standard deviation, ``(N, O)``.

        None of an ensemble of one member.
        """
        model = self.model
        counted = np.flatnonzero(np.asarray(model.weights) > 0)
        if len(counted) < 2:
            return None
        weights = np.asarray(model.weights, np.float64)[counted]
        weights = weights / weights.sum()
        out = np.empty((len(features), model.encoder.n_outputs))
        for rows, found in model.member_outputs(features):
            if model.is_classifier:
                each = np.stack([tempered(softmax(found[i]), model.temperature) for i in counted])
            else:
                each = model.encoder.decode_target(found[counted])
            centre = np.tensordot(weights, each, 1)
            out[rows] = np.sqrt(np.tensordot(weights, (each - centre) ** 2, 1))
        return out

    def intervals(self, features: Features) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the ends of 90 % intervals in the targets' units, ``(N, T)`` each; None where the model has none."""
        conformal = self.model.conformal
        if self.model.is_classifier or conformal is None or not conformal.gives(REPORTED):
            return None
        low, high = self.model.bounds(features, REPORTED)[1:3]
        return self.model.encoder.decode_target(low), self.model.encoder.decode_target(high)
