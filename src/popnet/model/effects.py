"""How a model's predictions depend on columns, as records: what a report draws, and what `popnet.effects` gives."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

EffectKind = Literal["number", "category", "date"]
"""How the values of a column are laid out: along an axis, side by side, or along time."""


@dataclass(frozen=True)
class ColumnEffect:
    """What a model predicts on average if a column has this value or that in all rows.

    Attributes:
        column: its name.
        kind: of its values.
        values: G of them, ascending, or categories, the most frequent first. Dates are seconds since 1970.
        means: by output, ``(K, G)``: the mean prediction (partial dependence, Friedman 2001).
        spreads: by output, ``(K, G)``: the weighted standard deviation of the members' own mean predictions.
        curves: by output, ``(K, rows, G)``: predictions of single rows (individual conditional expectation, Goldstein
            et al. 2015); empty of categories.
    """

    column: str
    kind: EffectKind
    values: list[float] | list[str]
    means: list[list[float]]
    spreads: list[list[float]]
    curves: list[list[list[float]]] = field(default_factory=list[list[list[float]]])


@dataclass(frozen=True)
class PairEffect:
    """What a model predicts on average if two columns have these values in all rows.

    Attributes:
        columns: two names.
        kinds: of their values.
        values: of each, see `ColumnEffect`.
        output: the output, a place in `EffectsOfColumns.outputs`.
        means: ``(G, H)``: the mean prediction at each value of the first (rows) and second column.
        interaction: the share of the variance of ``means`` that is no sum of an effect of each column.
    """

    columns: tuple[str, str]
    kinds: tuple[EffectKind, EffectKind]
    values: tuple[list[float] | list[str], list[float] | list[str]]
    output: int
    means: list[list[float]]
    interaction: float


@dataclass(frozen=True)
class EffectsOfColumns:
    """How predictions depend on some columns.

    Attributes:
        outputs: K names: targets, or classes whose probability it is (of two classes the second alone).
        classes: whether they are classes.
        rows: that predictions are averaged over.
        columns: the effect of each column.
        pair: of the two columns that interact most; None if there are not two.
    """

    outputs: list[str]
    classes: bool
    rows: int
    columns: list[ColumnEffect]
    pair: PairEffect | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)
