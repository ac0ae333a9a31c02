"""What a user may say about how values are to be read, in place of what is guessed from them."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from popnet.data.tables.formats import FORMATS
from popnet.errors import InputError


class ReadingChoices(BaseModel):
    """What holds for a whole table; None and empty: found from the values.

    Attributes:
        decimal: sign between whole part and fraction of numbers: "." or ",".
        thousands: sign between groups of three digits: one of , . ' _ or a blank.
        day_first: whether 03/04/2025 is 3 April; None: where values decide nothing, it is 4 March.
        na_values: the texts that mean "missing" in columns of text and in the target, and no others do there; None: the
            texts of `markers.NULL_TOKENS` where they are rare.
        categorical: columns whose values are levels, whatever they look like.
        positive: the class that is the positive one of two, as text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    decimal: str | None = None
    thousands: str | None = None
    day_first: bool | None = None
    na_values: tuple[str, ...] | None = None
    categorical: tuple[str, ...] = ()
    positive: str | None = None

    def as_written(self, names: Sequence[str]) -> Sequence[str] | None:
        """Return the columns in which null tokens stay text while a file is read: ``names``; None: all columns."""
        return names if self.na_values is None else None

    def check(self) -> None:
        """Raise `InputError` for the first impossible value, named."""
        if self.decimal not in (None, ".", ","):
            raise InputError(f"decimal must be '.' or ','; got {self.decimal!r}.")
        known = sorted({signs.thousands for signs in FORMATS.values() if signs.thousands})
        if self.thousands not in (None, *known):
            listed = " ".join(map(repr, known))
            raise InputError(f"thousands must be one of {listed}; got {self.thousands!r}.")
        if self.thousands is not None and self.thousands == self.decimal:
            raise InputError("decimal and thousands must be different signs.")


GUESSED = ReadingChoices()
"""Everything is found from the values."""
