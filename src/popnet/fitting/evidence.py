"""What predictions of held-out rows show beside the metrics: thresholds, calibration, errors, groups that are worse."""

from __future__ import annotations

import numpy as np

from popnet.data.tables.groups import row_groups
from popnet.fitting import gallery
from popnet.fitting.scoring import Scored, Scoring
from popnet.predictions.decisions import Decision
from popnet.predictions.reliability import coverage, error_bins, reliability
from popnet.predictions.slices import worse_slices
from popnet.predictions.thresholds import threshold_counts
from popnet.report.fit_page.facts import Evidence, LossName, SliceFacts
from popnet.runtime.clock import Finish

SECONDS_LEFT = 0.3
"""Share of the time kept for finishing that must be left for it. It takes 0.14 s on 3,256 rows of 14 columns, beside
other work."""


def find(scoring: Scoring, finish: Finish) -> Evidence | None:
    """Return what held-out predictions show; None of rows that the nets were trained on, or if there is no time.

    Args:
        scoring: that has scored.
        finish: the time for it.
    """
    scored = scoring.scored
    if scored is None or not (scoring.honest or scoring.out_of_fold):
        return None
    if not finish.has_left(SECONDS_LEFT) or not len(scored.true):
        return None
    worse = _worse(scoring, scored)
    independent = scoring.groups is None
    if scoring.model.is_classifier:
        return _of_classes(scoring, scored, worse, independent)
    if scored.true.shape[1] > 1:
        return Evidence(len(scored.true), worse=worse)
    true, predicted = scored.true[:, 0], scored.predicted[:, 0]
    decode = scoring.table.encoder.decode_target
    # A quantile is to be too high or too low on average.
    errors = error_bins(true, predicted, independent) if scoring.model.level is None else []
    return Evidence(
        len(true),
        errors=errors,
        coverage=[
            coverage(promised, true, *(decode(side)[:, 0] for side in sides))
            for promised, sides in sorted(scoring.ends.items())
        ],
        worse=worse,
    )


def _of_classes(
    scoring: Scoring, scored: Scored, worse: SliceFacts | None, independent: bool
) -> Evidence:
    """Return what is seen of probabilities: of the second of two classes, or of the predicted one of several."""
    p = scored.predicted / scored.predicted.sum(1, keepdims=True)
    if p.shape[1] > 2:
        sure = reliability(p.argmax(1) == scored.true, p.max(1), independent)
        return Evidence(
            len(p), reliability=sure, worse=worse, gallery=gallery.find(scoring, scored)
        )
    rule = scoring.model.decision
    threshold = rule.threshold if isinstance(rule, Decision) else 0.5
    assert threshold is not None  # a rule of two classes has one
    positive = scored.true == 1
    return Evidence(
        len(p),
        threshold_counts(positive, p[:, 1], [threshold]),
        threshold,
        reliability(positive, p[:, 1], independent),
        worse=worse,
        gallery=gallery.find(scoring, scored),
    )


def _worse(scoring: Scoring, scored: Scored) -> SliceFacts | None:
    """Return for which groups of test rows the model is worse; None where rows are not kept as the table has them."""
    known = scoring.table.test_rows
    if not scoring.honest or known is None or not len(known.places):
        return None
    name, losses = _losses(scoring, scored)
    groups = row_groups(known.frame, scoring.table.schema)
    take = known.places
    return SliceFacts(
        name,
        worse_slices(
            losses[take],
            groups,
            None if scoring.weights is None else scoring.weights[take],
            None if scoring.groups is None else scoring.groups[take],
        ),
    )


def _losses(scoring: Scoring, scored: Scored) -> tuple[LossName, np.ndarray]:
    """Return the loss of each row, ``(N,)``: simple ones, which people can name, whatever the metric."""
    if scoring.model.is_classifier:
        return "wrong", (scored.decided.argmax(1) != scored.true).astype(float)
    errors = np.abs(scored.true - scored.decided)
    if errors.shape[1] == 1:
        return "absolute", errors[:, 0]
    spread = scored.true.std(0)
    return "scaled", (errors / np.where(spread > 0, spread, 1.0)).mean(1)
