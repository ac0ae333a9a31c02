"""The held-out images that a model gets most wrong, and those that it is surest of."""

from __future__ import annotations

import numpy as np

from popnet.data.dataset import Images
from popnet.fitting.scoring import Scored, Scoring
from popnet.predictions.telling import most_wrong, surest
from popnet.report.fit_page.facts import GalleryFacts, PictureFacts

COUNT = 12
"""Images of each kind: with 24 the page is some 60 KB larger."""


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

    decided = scored.decided.argmax(1)
    p = scored.predicted / scored.predicted.sum(1, keepdims=True)
    names = [str(c) for c in scoring.model.classes]

    def shown(rows: np.ndarray) -> list[PictureFacts]:
        return [
            PictureFacts(
                image=thumbnail(images.pixels[scoring.rows[i]]),
                true=names[scored.true[i]],
                predicted=names[decided[i]],
                probability=float(p[i, decided[i]]),
                probability_of_true=float(p[i, scored.true[i]]),
            )
            for i in rows.tolist()
        ]

    return GalleryFacts(
        wrong=shown(most_wrong(scored.true, decided, p, COUNT)),
        sure=shown(surest(scored.true, decided, p, COUNT)),
        wrong_rows=int(np.count_nonzero(decided != scored.true)),
    )
