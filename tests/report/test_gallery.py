"""Images in the report: pictures, words for those who do not see them, and nothing that a class's name can break."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from test_page import HOSTILE  # pyright: ignore[reportMissingImports]

from popnet.data.images.thumbnail import SIDE, thumbnail
from popnet.report.fit_page import gallery
from popnet.report.fit_page.facts import Evidence, GalleryFacts, PictureFacts, from_json, to_json
from popnet.report.html import render

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 9, 3)).astype(np.uint8)


def facts_of(make_facts, true="five", predicted="six", wrong=1, looks=""):
    shown = PictureFacts(thumbnail(PIXELS), true, predicted, 0.875, 0.01, looks)
    right = replace(shown, predicted=true, looks="")
    seen = GalleryFacts([shown] * wrong, [right], 3 * wrong)
    return replace(from_json(make_facts()), evidence=Evidence(40, gallery=seen))


def opened(url: str) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(url.split(",", 1)[1]))) as image:
        return np.asarray(image)


def test_small_images_are_kept_to_the_pixel():
    assert np.array_equal(opened(thumbnail(PIXELS)), PIXELS)
    assert np.array_equal(opened(thumbnail(PIXELS[..., :1])), PIXELS[..., 0])


@pytest.mark.parametrize("channels", [1, 3])
def test_large_images_become_small(channels):
    large = np.tile(np.linspace(0, 255, 400)[:, None, None], (1, 800, channels)).astype(np.uint8)
    found = opened(thumbnail(large))
    assert found.shape[:2] == (SIDE // 2, SIDE)
    assert (
        np.abs(
            found.reshape(SIDE // 2, SIDE, -1).mean((1, 2)) - np.linspace(0, 255, SIDE // 2)
        ).max()
        < 8
    )


def test_what_is_said_of_an_image(make_facts):
    found = gallery.show(facts_of(make_facts))
    assert found is not None
    assert (found.wrong_rows, found.rows) == ("3 images", "40 images")
    assert [p.line for p in (*found.wrong, *found.sure)] == [
        "five, taken for six (88\u202f%)",
        "five, 88\u202f%",
    ]
    assert found.wrong[0].words == "An image of five that is taken for six with 88\u202f%"
    assert gallery.show(replace(facts_of(make_facts), evidence=Evidence(40))) is None


def test_the_page_shows_them_and_takes_any_name(make_facts):
    facts = facts_of(make_facts, true=HOSTILE)
    assert from_json(to_json(facts)) == facts
    text = render(facts, "m")
    assert text.count('<img src="data:image/png;base64,') == 2
    assert HOSTILE not in text
    assert "None of 40 images is taken for another class." in render(
        facts_of(make_facts, wrong=0), "m"
    )


def test_where_it_looks_stands_beside_what_is_wrong(make_facts):
    text = render(facts_of(make_facts, looks=thumbnail(PIXELS[::-1])), "m")
    assert text.count('<img src="data:image/png;base64,') == 3
    assert "Orange in the second picture" in text
    assert "Orange in the second picture" not in render(facts_of(make_facts), "m")
