"""The held-out images that a model gets most wrong, and those that it is surest of."""

from __future__ import annotations

import numpy as np

from popnet.data.dataset import Images
from popnet.explanation.occlusion import occlusion, overlay
from popnet.fitting.scoring import Scored, Scoring
from popnet.predictions.telling import most_wrong, surest
from popnet.report.fit_page.facts import GalleryFacts, PictureFacts

COUNT = 12
"""Images of each kind: with 24 the page is some 60 KB larger."""


LOOKS_LEFT = 0.5
"""Share of the time kept for finishing that must be left for where the model looks, which takes `COUNT` times 64
predictions."""


def find(scoring: Scoring, scored: Scored) -> GalleryFacts | None:
    """Return images to look at; None of a table, or of numbers.

    Args:
        scoring: that has scored.
        scored: what it scored.
    """
    images = scoring.table.data.features
    if not isinstance(images, Images) or not scoring.model.is_classifier:
        return None
    from popnet.data.images.thumbnail import thumbnail  # loads Pillow

    model = scoring.model

    decided: np.ndarray = scored.decided.argmax(1)
    p = scored.predicted / scored.predicted.sum(1, keepdims=True)
    names = [str(c) for c in model.classes]

    def shown(rows: np.ndarray, falls: np.ndarray | None = None) -> list[PictureFacts]:
        found: list[PictureFacts] = []
        for k, i in enumerate(rows.tolist()):
            pixels = images.pixels[scoring.rows[i]]
            found.append(
                PictureFacts(
                    image=thumbnail(pixels),
                    true=names[scored.true[i]],
                    predicted=names[int(decided[i])],
                    probability=float(p[i, decided[i]]),
                    probability_of_true=float(p[i, scored.true[i]]),
                    looks="" if falls is None else thumbnail(overlay(pixels, falls[k])),
                )
            )
        return found

    wrong, falls = most_wrong(scored.true, decided, p, COUNT), None
    if scoring.finish.has_left(LOOKS_LEFT):
        falls = occlusion(model.scores, images.take(scoring.rows[wrong]), decided[wrong])
    return GalleryFacts(
        wrong=shown(wrong, falls),
        sure=shown(surest(scored.true, decided, p, COUNT)),
        wrong_rows=int(np.count_nonzero(decided != scored.true)),
    )
