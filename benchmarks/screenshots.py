"""Make the pictures of the docs: parts of the pages of two fits and of a diagnosis, in a headless Chromium.

    python -m benchmarks.screenshots [--time-limit 60s] [--pages FOLDER] [NAME ...]

Tables lie in the folder ``POPNET_DATA``, but for scikit-learn's wine. Pages that lie in the folder of ``--pages``
already are taken as they are, so that a picture can be made again without another fit.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sklearn.datasets

from benchmarks.browser import Browser, browser
from benchmarks.sources import folder
from popnet.errors import InputError

DOCS = Path(__file__).parents[1] / "docs"

WIDTH, MARGIN, SCALE = 1000, 14, 1.5
"""CSS pixels of the window and of the room around what is shown, and device pixels for each of them."""


def _unpacked(name: str, place: Path) -> str:
    """Write a table of the data folder beside the pages, as text; return its name."""
    file = next(p for p in sorted((folder() / name).glob("*.csv.gz")) if "test" not in p.name)
    with gzip.open(file) as packed:
        (place / f"{name}.csv").write_bytes(packed.read())
    return f"{name}.csv"


def _wine(place: Path) -> str:
    """Write scikit-learn's table of wines beside the pages; return its name."""
    sklearn.datasets.load_wine(as_frame=True).frame.to_csv(place / "wine.csv", index=False)
    return "wine.csv"


@dataclass(frozen=True)
class Page:
    """A page that pictures are of: its table, and the words of the command that makes it, without the table."""

    table: Callable[[Path], str]
    command: str
    options: tuple[str, ...]
    file: str


PAGES = {
    "classes": Page(
        lambda p: _unpacked("adult", p), "fit", ("--target", "income", "--out", "adult.popnet"),
        "adult.popnet/report.html",
    ),
    "numbers": Page(
        lambda p: _unpacked("california", p), "fit",
        ("--target", "median_house_value", "--out", "california.popnet"), "california.popnet/report.html",
    ),
    "doctor": Page(
        _wine, "doctor", ("--target", "target", "--fix", "learning_rate=0.00003", "--out", "doctor.html"),
        "doctor.html",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Shot:
    """A picture.

    Attributes:
        page: that it is of.
        first, last: the parts that it shows, from the first to the last, as selectors.
        scheme: of colours.
        script: what is done on the page before.
        hover: the mark that the mouse is on.
    """

    page: str
    first: str
    last: str
    scheme: str = "light"
    script: str = ""
    hover: str = ""


SET = "const set = (n, v) => { n.value = v; n.dispatchEvent(new Event('input')); };"

SHOTS = {
    "report": Shot("classes", ".top", "#result .warnings"),
    "threshold": Shot(
        "classes", ".threshold", ".panels.wide",
        script=SET + "const s = document.getElementById('threshold'); set(s, s.value - 40);",
    ),
    "groups": Shot("classes", "#slices h2", "#slices .forest"),
    "errors": Shot(
        "numbers", "#calibration h2", "#calibration figure",
        hover=".plot-errors circle[data-tip]:nth-of-type(8)",
    ),
    "recipes": Shot(
        "numbers", ".parallel", ".brushes", scheme="dark",
        script=SET + "document.querySelector('.brushes details').open = true;"
        "set(document.querySelectorAll('.brushes .high')[6], 40);",
    ),
    "doctor": Shot("doctor", ".top", "main > section:nth-of-type(2) figure"),
}  # fmt: skip
"""All pictures by the names of their files."""

PLACE = """
const [first, last] = Array.from(arguments,(s) => document.querySelector(s)?.getBoundingClientRect());
return first && last ? [first.top + scrollY, last.bottom + scrollY] : null;
"""


def make_page(page: Page, place: Path, time_limit: str) -> Path:
    """Return a page, made by its command if it is not there yet."""
    path = place / page.file
    if not path.exists():
        words = [page.command, page.table(place), *page.options, "--time-limit", time_limit]
        subprocess.run([sys.executable, "-m", "popnet", *words], cwd=place, check=True)
    return path


def shoot(chromium: Browser, shot: Shot, path: Path) -> bytes:
    """Return a picture as PNG.

    Raises:
        InputError: the page has not what the picture is of.
    """
    chromium.size(WIDTH, scale=SCALE)
    chromium.media(shot.scheme)
    chromium.open(path)
    if shot.hover:
        chromium.size(WIDTH, chromium.height(), SCALE)  # nothing scrolls under the mouse
    chromium.run(shot.script)
    place = chromium.run(PLACE, shot.first, shot.last)
    if place is None:
        raise InputError(f"{path} has no {shot.first} or no {shot.last}.")
    if shot.hover:
        chromium.hover(shot.hover)
    top, bottom = place[0] - MARGIN, place[1] + MARGIN
    clip = {"x": 0, "y": max(top, 0), "width": WIDTH, "height": bottom - max(top, 0), "scale": 1}
    found = chromium.driver.execute_cdp_cmd(
        "Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip}
    )
    return base64.b64decode(found["data"])


def main() -> None:
    """Make the pictures that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)  # fmt: skip
    parser.add_argument("names", nargs="*", choices=[*SHOTS, []], metavar="NAME")
    parser.add_argument("--time-limit", default="60s")
    parser.add_argument("--pages", type=Path)
    parser.add_argument("--out", type=Path, default=DOCS)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, browser() as chromium:
        place = (chosen.pages or Path(temporary)).resolve()
        for name in chosen.names or SHOTS:
            shot = SHOTS[name]
            path = make_page(PAGES[shot.page], place, chosen.time_limit)
            (chosen.out / f"{name}.png").write_bytes(shoot(chromium, shot, path))
            print(chosen.out / f"{name}.png")


if __name__ == "__main__":
    main()
