"""A browser, and a page of each kind: two small fits, and a document with every kind of picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from benchmarks.browser import Browser, browser, missing

from popnet.fitting import evidence
from popnet.fitting.run import fit
from popnet.fitting.scoring import Scored
from popnet.options import Options
from popnet.report.document import Document, Dot, Dots, Line, Lines, Section, Table
from popnet.report.fit_page.facts import FitFacts
from popnet.report.html import render, render_document
from popnet.spec.recipe import Recipe

ROWS = 1200


@dataclass(frozen=True)
class FitPage:
    """A page, the facts that it shows, and what was scored on the test part."""

    path: Path
    facts: FitFacts
    scored: Scored


def made_table() -> pl.DataFrame:
    """A table whose target is harder to tell where ``place`` is "far"."""
    rng = np.random.default_rng(0)
    size, age = rng.standard_normal((2, ROWS)).round(3)
    place = rng.choice(["near", "far", "<b>between</b>"], ROWS)
    noise = np.where(place == "far", 2.5, 0.2) * rng.standard_normal(ROWS)
    signal = 2 * size + np.sin(2 * age)
    return pl.DataFrame(
        {
            "size": [None if x < -1.5 else x for x in size],
            "age": age,
            "place": place,
            "rooms": rng.integers(1, 5, ROWS),
            "bought": np.where(signal + noise > 0.5, "yes", "no"),
            "price": 100 + 5 * (signal + noise),
        }
    )


def fit_page(folder: Path, target: str) -> FitPage:
    """Fit eight small recipes, and write their page."""
    options = Options(
        members=8, folds=1, trees="none", test_size=0.3, drop=("price",) if target == "bought" else ("bought",),
        recipe=Recipe(
            depth=1, width=8, batch_size=64, epochs=4, activation="relu", norm="none", numeric_embedding="none",
            optimizer="adam", schedule="constant",
        ),
    )  # fmt: skip
    kept: list[Scored] = []
    found = evidence.find

    def find(scoring, finish):
        kept.append(scoring.scored)
        return found(scoring, finish)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "find", find)
        fitted = fit(
            made_table(), target, options, command=f"popnet fit made.csv --target {target}"
        )
    path = folder / f"{target}.html"
    path.write_text(render(fitted.facts, "made.popnet"), encoding="utf-8")
    return FitPage(path, fitted.facts, kept[0])


def made_document() -> Document:
    """A document with every kind of picture and a table, as a study, the doctor and claims write."""
    dots = Dots(
        (
            Dot("dropout 0.1", 0.8, 0.3, 1.3, "0.8 points fewer errors", "good"),
            Dot("batch norm", -0.5, -0.9, -0.1, "0.5 points more errors", "bad"),
            Dot("weight decay", 0.1, -0.4, 0.6, "not decided"),
        ),
        "points of accuracy, right is better",
    )
    epochs = list(range(1, 31))
    loss = [1 / e for e in epochs]
    lines = Lines(
        (
            Line("with the remedy", epochs, loss, [0.8 * v for v in loss], [1.2 * v for v in loss]),
            Line("without", epochs, [0.7] * 30),
        ),
        "epoch", "loss", log_y=True,
    )  # fmt: skip
    table = Table(("technique", "gain"), (("dropout", "0.8 (0.3 to 1.3)"), ("batch norm", "−0.5")))
    sections = tuple(
        Section(key, title, badge, tone, ("What it means.",), (dots, lines), table, ("By twins.",))
        for key, title, badge, tone in (
            ("dropout", "Does dropout help?", "helps", "good"),
            ("norm", "Does batch norm help?", "harms", "bad"),
        )
    )  # fmt: skip
    overview = Table(("question", "answer"), (("Does dropout help?", "helps"),))
    return Document(
        "popnet study", "A study of made data", ("What was asked.",), overview, sections,
        "popnet study made.csv --target bought --pairs 4", "1.0", "2025-01-01", ("Twins differ in one setting.",),
    )  # fmt: skip


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser; tests that want one are skipped, with the reason, where there is none."""
    if lacking := missing():
        pytest.skip(lacking)
    with browser() as found:
        yield found


@pytest.fixture(scope="session")
def fits(tmp_path_factory) -> dict[str, FitPage]:
    """A fit of two classes and one of numbers, by their targets."""
    folder = tmp_path_factory.mktemp("pages")
    return {target: fit_page(folder, target) for target in ("bought", "price")}


@pytest.fixture(scope="session")
def pages(fits, tmp_path_factory) -> dict[str, Path]:
    """A page of each kind."""
    path = tmp_path_factory.mktemp("documents") / "document.html"
    path.write_text(render_document(made_document()), encoding="utf-8")
    return {"classes": fits["bought"].path, "numbers": fits["price"].path, "document": path}
