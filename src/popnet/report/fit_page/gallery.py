"""The images that a model gets most wrong, and those that it is surest of."""

from __future__ import annotations

from dataclasses import dataclass

from popnet.report.fit_page.facts import FitFacts, PictureFacts
from popnet.report.format import count, percent


@dataclass(frozen=True)
class Picture:
    """An image, and the same with what decides coloured ("" if unknown); a line below, and words for those who do not
    see it."""

    image: str
    looks: str
    line: str
    words: str
    wrong: bool


@dataclass(frozen=True)
class GallerySection:
    """What is shown; ``wrong_rows`` is how many images are wrong, of ``rows``."""

    wrong: list[Picture]
    sure: list[Picture]
    wrong_rows: str
    rows: str


def show(facts: FitFacts) -> GallerySection | None:
    """Return the images to look at; None if the fit was of a table."""
    evidence = facts.evidence
    if evidence is None or evidence.gallery is None:
        return None
    found = evidence.gallery
    return GallerySection(
        [_picture(p) for p in found.wrong],
        [_picture(p) for p in found.sure],
        count(found.wrong_rows, "image"),
        count(evidence.rows, "image"),
    )


def _picture(p: PictureFacts) -> Picture:
    sure = percent(p.probability)
    if p.true == p.predicted:
        line, words = f"{p.true}, {sure}", f"An image of {p.true}, taken for that with {sure}"
    else:
        line = f"{p.true}, taken for {p.predicted} ({sure})"
        words = f"An image of {p.true} that is taken for {p.predicted} with {sure}"
    return Picture(p.image, p.looks, line, words, p.true != p.predicted)
