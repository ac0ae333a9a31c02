"""The page of explanations: a section a row, with what columns add, what would change the answer, and rows like it."""

from __future__ import annotations

from collections.abc import Sequence

from popnet.explanation import words
from popnet.explanation.records import Explanation
from popnet.report import format
from popnet.report.document import Document, Dot, Dots, Section, Table

MAX_DOTS = 15
"""Columns that a picture shows; the table has all."""

MAX_NEIGHBOURS = 5
"""Background rows whose values stand beside the row's."""

Z = 1.96
"""Standard errors of a 95 % interval."""


def document(
    explanations: Sequence[Explanation], classes: bool, target: str, source: str, compared: str, notes: Sequence[str],
    pairs: int, command: str, version: str, created: str,
) -> Document:  # fmt: skip
    """Return the page.

    Args:
        explanations: one a row.
        classes: whether probabilities of classes are explained, and not values.
        target: name of what is predicted.
        source: name of the rows' table.
        compared: what the rows are compared with, in a few words.
        notes: remarks.
        pairs: of orders of columns that were drawn for each row; 0 where all subsets were gone through.
        command, version, created: see `popnet.report.document.Document`.
    """
    rows = format.count(len(explanations), "row")
    lead = (
        f"What the columns of {rows} of {source} add to the predicted {target}, compared with {compared}.",
        *(f"{format.capital(n)}." for n in notes),
    )
    overview = Table(
        ("row", "prediction", "probability" if classes else "90 % interval", "largest contributions", "warnings"),
        tuple(_overview(e, classes) for e in explanations),
    )  # fmt: skip
    sections = tuple(_section(e, classes, target) for e in explanations)
    return Document(
        "popnet explain", f"Why these answers? {target}", lead, overview, sections, command, version, created,
        method=method(classes, pairs),
    )  # fmt: skip


def method(classes: bool, pairs: int) -> tuple[str, ...]:
    """Return how explanations are made, paragraph by paragraph."""
    unit = "a probability" if classes else "the target's unit"
    drawn = (
        "all subsets of the columns and all background rows were gone through, so the values are exact."
        if not pairs
        else f"{format.count(pairs, 'pair')} of orders of the columns were drawn, one and its reverse (Mitchell et al. "
        "2022); the standard errors are those of this sampling."
    )
    return (
        f"Shapley values are in {unit}: the value of some columns is the mean answer over background rows into which "
        "the row's values of these columns are put, and a column's Shapley value is the mean of what it adds to the "
        "columns before it, over all orders (Štrumbelj and Kononenko 2014). They sum to the answer less the mean "
        f"answer; {drawn}",
        "They say how the model uses the columns, not what would happen in the world if a column were changed. Columns "
        "that go together share what they say, and mixed rows may be ones that do not occur.",
        "Distances: the squared difference in each column is divided by its mean over pairs of background rows, so "
        "that all columns weigh the same; two background rows are 1 apart, about. A change takes values that "
        "background rows have.",
    )


def _overview(e: Explanation, classes: bool) -> tuple[str, ...]:
    size = words.scale(e, classes)
    answer = words.amount(e.answer, size)
    if classes:
        how = answer if e.prediction == e.explained else f"{answer} of {e.explained}"
    else:
        how = format.MISSING
        if e.interval is not None:
            how = " to ".join(words.amount(end, size) for end in e.interval)
    top = ", ".join(
        f"{c.column} {format.signed(c.shapley, words.places(size))}" for c in e.contributions[:3]
    )
    warned = len(words.warnings(e, classes))
    prediction = words.shown(e.prediction) if classes else answer
    return f"row {e.row:,}", prediction, how, top, str(warned) if warned else ""


def _section(e: Explanation, classes: bool, target: str) -> Section:
    size = words.scale(e, classes)
    dots = tuple(
        Dot(
            f"{c.column} = {words.shown(c.value)}", c.shapley,
            c.shapley - Z * c.standard_error, c.shapley + Z * c.standard_error,
            format.signed(c.shapley, words.places(size)),
            "good" if c.shapley > 0 else "bad" if c.shapley < 0 else "neutral",
        )
        for c in e.contributions[:MAX_DOTS]
    )  # fmt: skip
    what = f"the probability of {e.explained}" if classes else str(e.explained)
    said = words.no_change(e, classes)
    if e.change is not None:
        said = words.change_sentence(e.change, e, classes)
    warned = words.warnings(e, classes)
    return Section(
        f"row-{e.row}",
        f"row {e.row:,}",
        "warning" if warned else "",
        "bad",
        (
            f"{format.capital(words.headline(e, classes))}.",
            *(f"{format.capital(text)}." for text in warned),
            f"{format.capital(said)}.",
        ),
        (Dots(dots, f"what a column adds to {what}, with its 95 % interval"),),
        _table(e, size),
    )


def _table(e: Explanation, size: float) -> Table:
    """Return all columns: the row's values, Shapley values, and the values of background rows near it."""
    near = e.nearest[:MAX_NEIGHBOURS]
    head = (
        "column", "value", "Shapley value", "standard error",
        *(f"background row {n.row:,}" for n in near),
    )  # fmt: skip
    decimals = words.places(size)
    rows = [
        (
            c.column, words.shown(c.value), format.signed(c.shapley, decimals),
            format.fixed(c.standard_error, decimals), *(words.shown(n.values[c.column]) for n in near),
        )
        for c in e.contributions
    ]  # fmt: skip
    if near:
        rows.append(("distance", "", "", "", *(f"{n.distance:.2f}" for n in near)))
        rows += [
            (f"{name} (target)", "", "", "", *(words.shown(n.target[name]) for n in near))
            for name in near[0].target
        ]
    return Table(head, tuple(rows))
