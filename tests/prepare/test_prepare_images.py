"""Images made ready: parts, folds, target, format."""

from __future__ import annotations

import numpy as np
import pytest

from popnet.data.images.pictures import Pictures
from popnet.errors import InputError
from popnet.options import Options
from popnet.prepare.images import prepare_images


def pictures(n=120, parts=None, labels=None, channels=1):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (n, 6, 5, channels), dtype=np.uint8)
    labels = labels or ["ant" if i % 3 else "bee" for i in range(n)]
    return Pictures(pixels=pixels, labels=labels, parts=parts, label_name="insect")


def test_folds_partition_the_training_part_and_keep_shares():
    p = prepare_images(pictures(), None, Options())
    held = np.concatenate([f.valid for f in p.folds])
    assert sorted(held) == sorted(p.train)
    assert not set(p.train) & set(p.test)
    assert len(p.test) == 24
    assert np.bincount(p.data.target[p.test]).tolist() == [16, 8]
    assert (p.split, p.schema.target.classes) == ("stratified", ("ant", "bee"))
    image = p.encoder.image
    assert image is not None
    assert image.size == (6, 5, 1)
    assert image.mean[0] == pytest.approx(p.data.features.pixels[p.train].mean(), rel=1e-5)


def test_parts_of_the_source_are_kept():
    parts = np.repeat([0, 1, 2], [80, 20, 20]).astype(np.int8)
    p = prepare_images(pictures(parts=parts), None, Options())
    np.testing.assert_array_equal(p.test, np.arange(100, 120))
    assert [(len(f.train), len(f.valid)) for f in p.folds] == [(80, 20)]
    np.testing.assert_array_equal(p.folds[0].valid, np.arange(80, 100))
    assert p.split == "given"
    folded = prepare_images(pictures(parts=parts), None, Options(folds=3))
    assert len(folded.folds) == 3
    assert len(folded.train) == 100


def test_numbers_are_a_regression_with_a_scale():
    values = np.random.default_rng(1).normal(50, 9, 120).tolist()
    p = prepare_images(pictures(labels=values), None, Options())
    assert p.data.task == "regression"
    np.testing.assert_allclose(p.encoder.decode_target(p.data.target)[:, 0], values, rtol=1e-5)
    assert p.data.target[p.train].std() == pytest.approx(1, abs=1e-3)


def test_duplicates_across_the_split_are_told():
    p = pictures()
    p.pixels[:] = p.pixels[:1]
    assert any("pixel by pixel" in n for n in prepare_images(p, None, Options()).notes)
    assert not any("pixel by pixel" in n for n in prepare_images(pictures(), None, Options()).notes)


@pytest.mark.parametrize("name", ["weight", "group", "time", "drop", "keep"])
def test_options_of_tables_are_refused(name):
    value = ("x",) if name in ("drop", "keep") else "x"
    with pytest.raises(InputError, match=f"{name} is for the columns of a table"):
        prepare_images(pictures(), None, Options(**{name: value}))


def test_one_class_is_refused():
    with pytest.raises(InputError, match="one class"):
        prepare_images(pictures(labels=["ant"] * 120), None, Options())
