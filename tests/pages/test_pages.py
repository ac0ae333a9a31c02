"""Pages in a real browser: drawn, quiet, within the screen, and within reach of the keyboard and of screen readers."""

from __future__ import annotations

import base64
import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

KINDS = ("classes", "numbers", "document")
WIDTHS = (360, 768, 1440)

NOT_DRAWN = """
document.querySelectorAll("details").forEach((d) => { d.open = true; });
return Array.from(document.querySelectorAll("svg:not(.hidden)")).filter((svg) => {
  const box = svg.getBoundingClientRect();
  return !(box.width > 0 && box.height > 0 && svg.querySelector("*"));
}).map((svg) => svg.outerHTML.slice(0, 200));
"""
TABBABLE = """
return Array.from(document.querySelectorAll("a[href], button:not(:disabled), input, summary, [tabindex='0']"))
  .filter((n) => n.getClientRects().length && !n.closest("details:not([open]) > :not(summary)"))
  .map((n, i) => { n.dataset.stop = i; return i; });
"""
READ = """
const chart = document.querySelectorAll("[data-chart][role=slider]")[arguments[0]];
chart.focus();
const said = [];
for (const key of ["Home", "ArrowRight", "ArrowUp", "End"]) {
  chart.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  said.push(chart.getAttribute("aria-valuetext"));
}
chart.blur();
return said;
"""
AXE = "const done = arguments[1]; axe.run(arguments[0]).then((r) => done(r.violations));"


@pytest.fixture
def show(chromium, pages):
    """Open a page at a width and in a colour scheme."""

    def open_(kind: str, width: int = 1440, scheme: str = "light"):
        chromium.size(width)
        chromium.media(scheme)
        chromium.open(pages[kind])
        return chromium

    return open_


@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_drawn_and_the_console_is_quiet(show, kind):
    page = show(kind)
    assert page.run("return document.querySelectorAll('svg').length") > 3
    assert page.run(NOT_DRAWN) == []
    charts = page.run("return document.querySelectorAll('[data-chart][role=slider]').length")
    assert charts >= 2
    for i in range(charts):
        said = page.run(READ, i)
        assert len(set(said)) > 1, said
        assert not any(re.search(r"NaN|undefined|null|Arrow keys", text) for text in said), said
    assert page.errors() == []
    assert (
        page.run(
            "return document.fonts.size === 0 && performance.getEntriesByType('resource').length"
        )
        == 0
    )


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_wider_than_the_screen(show, kind):
    for width in WIDTHS:
        page = show(kind, width)
        page.run(NOT_DRAWN)  # all parts are unfolded
        assert page.run("return document.documentElement.scrollWidth") <= width
        assert page.run("return document.body.scrollWidth") <= width


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(show, kind, scheme):
    axe = pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    page = show(kind, 768, scheme)
    page.run(NOT_DRAWN)
    page.run((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    # Colours are all that differs in the dark.
    what = {} if scheme == "light" else {"runOnly": ["color-contrast"]}
    found = page.driver.execute_async_script(AXE, what)
    said = [
        (v["id"], [n["html"][:160] for n in v["nodes"]][:4])
        for v in found
        if v["impact"] in ("serious", "critical")
    ]
    assert said == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_keyboard_reaches_everything_in_order(show, kind):
    page = show(kind)
    keys = importlib.import_module("selenium.webdriver.common.keys").Keys
    chains = importlib.import_module("selenium.webdriver.common.action_chains").ActionChains
    stops = page.run(TABBABLE)
    assert len(stops) > 5
    page.run(
        "window.reached = []; addEventListener('focusin', (e) => reached.push(Number(e.target.dataset.stop)))"
    )
    chains(page.driver).send_keys(keys.TAB * len(stops)).perform()
    assert page.run("return reached") == stops


@pytest.mark.parametrize("kind", KINDS)
def test_a_printed_page_is_unfolded_and_has_no_controls(show, kind):
    page = show(kind)
    page.media(media="print")
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert page.run("return document.querySelectorAll('details:not([open])').length") == 0
    for control in (".copy", ".threshold", ".brushes", "nav"):
        shown = "return Array.from(document.querySelectorAll(arguments[0])).some((n) => n.getClientRects().length)"
        assert not page.run(shown, control) or (control, kind) == ("nav", "document")
    pdf = base64.b64decode(page.driver.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert pdf.startswith(b"%PDF")
    page.run("dispatchEvent(new Event('afterprint'))")
    if kind != "document":
        assert page.run("return document.querySelectorAll('details:not([open])').length") > 0


def test_dark_and_light_differ(show):
    ground = "return getComputedStyle(document.body).backgroundColor"
    assert show("classes", scheme="light").run(ground) != show("classes", scheme="dark").run(ground)


def test_the_slider_shows_the_confusion_matrix_of_each_threshold(show, fits):
    scored, seen = fits["bought"].scored, fits["bought"].facts.evidence
    page = show("classes")
    keys = importlib.import_module("selenium.webdriver.common.keys").Keys
    slider = page.driver.find_element("id", "threshold")
    cells = "return Array.from(document.querySelectorAll('table.confusion td.heat'), (c) => c.textContent)"

    def matrix() -> list[int]:
        return [int(text.replace(",", "")) for text in page.run(cells)]

    p = scored.predicted[:, 1] / scored.predicted.sum(1)
    chosen = confusion_matrix(scored.true, scored.decided.argmax(1)).ravel().tolist()
    assert matrix() == chosen == np.ravel(fits["bought"].facts.confusion).tolist()
    thresholds = seen.thresholds.thresholds
    place = thresholds.index(seen.threshold)
    for key, step in ((keys.ARROW_RIGHT, 1), (keys.ARROW_LEFT, -1)):
        for moved in range(1, 4):
            slider.send_keys(key)
            t = thresholds[place + step * moved]
            truth = confusion_matrix(scored.true, p > t, labels=[0, 1]).ravel().tolist()
            assert matrix() == truth
            assert float(slider.get_attribute("value")) == place + step * moved
        page.driver.find_element("css selector", ".threshold button").click()
        assert matrix() == chosen
    page.run("const s = arguments[0]; s.value = s.max; s.dispatchEvent(new Event('input'))", slider)
    assert matrix() == [int((scored.true == 0).sum()), 0, int((scored.true == 1).sum()), 0]
    assert page.errors() == []


def test_recipes_are_filtered_by_keyboard_and_by_mouse(show):
    page = show("classes")
    keys = importlib.import_module("selenium.webdriver.common.keys").Keys
    chains = importlib.import_module("selenium.webdriver.common.action_chains").ActionChains
    kept = "return Array.from(document.querySelectorAll('polyline[data-recipe]:not(.out)'), (l) => l.dataset.recipe)"
    left = "return Array.from(document.querySelectorAll('tr[data-recipe]:not(.out)'), (r) => r.dataset.recipe)"
    every = page.run(kept)
    assert len(every) == 8
    page.driver.find_element("css selector", ".brushes summary").send_keys(keys.ENTER)
    score = page.driver.find_elements("css selector", ".brushes fieldset")[-1]
    low = score.find_element("css selector", ".low")
    for _ in range(10):  # the upper half of the scores
        low.send_keys(keys.ARROW_RIGHT)
    lines = "return Array.from(document.querySelectorAll('polyline[data-recipe]'), (l) => "
    lines += "[l.dataset.recipe, l.points[l.points.numberOfItems - 1].y])"
    wanted = {recipe for recipe, y in page.run(lines) if y <= 50}
    assert set(page.run(kept)) == set(page.run(left)) == wanted
    assert 0 < len(wanted) < 8
    said = page.driver.find_element("css selector", ".brushes output").text
    assert said.startswith(f"{len(wanted)} of 8 recipes; the best of them: ")
    page.driver.find_element("css selector", ".brushes button").click()
    assert page.run(kept) == every
    # The same with the mouse: along the last axis, from its middle upwards.
    plot = page.driver.find_element("css selector", ".parallel > svg")
    page.run("arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })", plot)
    width, height = plot.size["width"], plot.size["height"]
    chains(page.driver).move_to_element_with_offset(plot, width / 2 - 2, 0).click_and_hold().move_by_offset(
        0, -int(height / 2)
    ).release().perform()  # fmt: skip
    assert set(page.run(kept)) == wanted
    assert page.errors() == []


def test_the_mouse_reads_a_picture(show):
    page = show("numbers")
    chains = importlib.import_module("selenium.webdriver.common.action_chains").ActionChains
    dot = page.driver.find_element("css selector", ".plot-errors circle[data-tip]")
    page.run("arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })", dot)
    chains(page.driver).move_to_element(dot).perform()
    tips = page.driver.find_elements("css selector", ".tip")
    shown = [tip for tip in tips if tip.is_displayed()]
    assert [tip.text for tip in shown] == [dot.get_attribute("data-tip")]
    box = "const b = arguments[0].getBoundingClientRect(); return b.left >= 0 && b.right <= innerWidth"
    assert page.run(box, shown[0])


# What a fit keeps for its page, against what was scored: these need no browser, and stand here to share the fits.


def test_a_fit_of_classes_counts_its_test_rows(fits):
    page = fits["bought"]
    seen, scored = page.facts.evidence, page.scored
    assert seen.rows == page.facts.data.test_rows == len(scored.true)
    place = seen.thresholds.thresholds.index(seen.threshold)
    found, mistaken = seen.thresholds.found[place], seen.thresholds.mistaken[place]
    assert page.facts.confusion == [
        [seen.thresholds.negatives - mistaken, mistaken],
        [seen.thresholds.positives - found, found],
    ]
    assert sum(b.rows for b in seen.reliability) == seen.rows
    mean = sum(b.rows * b.happened for b in seen.reliability) / seen.rows
    assert mean == pytest.approx(np.mean(scored.true == 1))


@pytest.mark.parametrize("target", ["bought", "price"])
def test_the_noisy_group_is_found(fits, target):
    worse = fits[target].facts.evidence.worse
    assert ("place", "far") in [(s.column, s.label) for s in worse.slices.found]
    assert worse.slices.looked > 10
    assert worse.slices.rows == fits[target].facts.data.test_rows


def test_a_fit_of_numbers_counts_what_its_intervals_contain(fits):
    seen, facts = fits["price"].facts.evidence, fits["price"].facts
    assert [c.promised for c in seen.coverage] == [0.5, 0.8, 0.9, 0.95]
    reported = seen.coverage[2]
    assert reported.share == pytest.approx(facts.metrics["coverage_90"])
    assert reported.width == pytest.approx(facts.metrics["width_90"], rel=1e-6)
    errors = (fits["price"].scored.true - fits["price"].scored.predicted)[:, 0]
    mean = sum(b.rows * b.mean for b in seen.errors) / seen.rows
    assert mean == pytest.approx(errors.mean())
    assert seen.thresholds is None
