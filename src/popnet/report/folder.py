"""A model folder with what stands in it for people: the page, and a row for each member."""

from __future__ import annotations

from pathlib import Path

from popnet.model.folder import POPULATION, REPORT, write_folder
from popnet.model.model import Model
from popnet.report import html
from popnet.report.fit_page.facts import FitFacts
from popnet.report.fit_page.gather import population_parquet


def write_all(folder: Path, model: Model, facts: FitFacts) -> None:
    """Write a model folder with its report and its population; a fault in the page does not cost the model.

    Args:
        folder: its place, see `popnet.model.folder.write_folder`.
        model: to save.
        facts: of its fit.

    Raises:
        InputError: the folder cannot be written; nothing half-written is left.
    """
    files = {POPULATION: population_parquet(facts)}
    try:
        files[REPORT] = html.render(facts, folder.name).encode()
    finally:
        write_folder(folder, model, files)
