"""The effects of a study in plain words."""

from __future__ import annotations

from typing import NamedTuple

from popnet.ablation.intervals import Interval
from popnet.ablation.results import Effect
from popnet.ablation.verdicts import ALPHA, PairPlan
from popnet.report import format


class Unit(NamedTuple):
    """How errors are written.

    Attributes:
        scale: factor of what is shown.
        name: what is lower where a technique helps.
        unit: of a difference, after a space; "" for a pure number.
        axis: the name of an axis or a column.
    """

    scale: float
    name: str
    unit: str
    axis: str

    @classmethod
    def of(cls, task: str, metric: str) -> Unit:
        """Return the unit of a task's metric."""
        if metric == "log_loss":
            return cls(1.0, "log-loss", "", "log-loss")
        if task == "regression":
            return cls(
                100.0, "unexplained variance", " percentage points", "unexplained variance, %"
            )
        return cls(100.0, "error rate", " percentage points", "error rate, %")

    def number(self, value: float, signed: bool = False) -> str:
        """Return a value without its unit."""
        decimals = 2 if self.scale == 100 else 4
        text = format.signed if signed else format.fixed
        return text(self.scale * value, decimals)

    def difference(self, value: float) -> str:
        """Return the size of a difference with its unit."""
        return f"{self.number(abs(value))}{self.unit}"

    def level(self, value: float) -> str:
        """Return an error: ``a log-loss of 0.0958``, ``an error rate of 4.31 %``."""
        article = "an" if self.name[0] in "aeiou" else "a"
        return f"{article} {self.name} of {self.number(value)}{' %' if self.unit else ''}"

    def range(self, found: Interval, sign: float = 1.0) -> str:
        """Return an interval as ``-0.3 to 1.2``."""
        ends = sorted((sign * found.low, sign * found.high))
        return f"{self.number(ends[0], True)} to {self.number(ends[1], True)}"

    def change(self, gain: Interval) -> str:
        """Return by how much an error is lower or higher, from one end of an interval to the other."""
        best, worst = self.number(abs(gain.high)), self.number(abs(gain.low))
        if gain.low >= 0:
            return f"lower by {worst} to {best}{self.unit}"
        if gain.high <= 0:
            return f"higher by {best} to {worst}{self.unit}"
        return f"between {best}{self.unit} lower and {worst} higher"


def value_of(effect: Effect) -> str:
    """Return what a level changes its factor to: ``layer`` of the level ``norm layer``."""
    return effect.level.removeprefix(f"{effect.factor} ")


def change_of(effect: Effect) -> str:
    """Return what was changed: ``norm: layer instead of batch``."""
    instead = "" if effect.base == "without" else f" instead of {effect.base}"
    return f"{effect.factor}: {value_of(effect)}{instead}"


def sentence(effect: Effect, unit: Unit, comparisons: int) -> str:
    """Return what a change did to the error."""
    gain, name = effect.gain, unit.name
    change = unit.change(gain)
    if effect.verdict in ("helps", "harms"):
        how = "lower" if gain.mean > 0 else "higher"
        share = _share(abs(gain.mean), effect.base_error)
        size = f"{unit.difference(gain.mean)}, {share}" if share else unit.difference(gain.mean)
        return f"{name} {how} by {size} (95 % interval: {change})"
    if effect.verdict == "no effect":
        return f"{name} changes by at most {unit.difference(gain.bound)} (95 % interval: {change})"
    if effect.verdict == "not detectable":
        return f"{name} {change}; at least {effect.rows_needed:,} rows would be needed to tell"
    alone = gain.low > 0 or gain.high < 0
    but = (
        f", which may be chance among {comparisons} comparisons"
        if alone and effect.p >= ALPHA
        else ""
    )
    return f"{name} {change}{but}"


def detectable(plan: PairPlan, detect: float, base_error: float, unit: Unit) -> str:
    """Return which changes a number of pairs can detect, and what is lacking for the smallest that matters."""
    share = _share(plan.shows, base_error)
    size = f"{unit.difference(plan.shows)} ({share})" if share else unit.difference(plan.shows)
    text = f"changes of the {unit.name} above {size} can be detected"
    if plan.shows > detect:
        text += f"; the smallest that matters is {unit.difference(detect)}"
    if plan.rows:
        text += f", which takes at least {plan.rows:,} rows, however many pairs"
    return text


def _share(size: float, base_error: float) -> str:
    """Return a size as a share of the baseline's error; nothing if it is larger than that."""
    return f"{100 * size / base_error:.2g} % of the baseline's" if size < base_error else ""
