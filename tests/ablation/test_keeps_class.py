"""Which transformations keep the class, on made-up images where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from popnet import Dataset, Recipe
from popnet.ablation.intervals import Interval
from popnet.ablation.transformations import check as keeping
from popnet.ablation.transformations import small_images
from popnet.ablation.transformations.catalogue import ImageTransformation
from popnet.ablation.transformations.check import Check, TransformationEffect
from popnet.ablation.verdicts import EffectVerdict
from popnet.data.dataset import Images
from popnet.errors import InputError

SIDE = 12


def bars(n: int, seed: int = 0) -> Dataset:
    """A bar at the top or at the bottom, bright on the left or not: upside down is another class."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    x = rng.integers(0, 120, (n, SIDE, SIDE, 1))
    for i in range(n):
        row = rng.integers(1, 4)
        row = row if y[i] == 0 else SIDE - 1 - row
        x[i, row, rng.integers(0, 4) : rng.integers(8, 12)] += 90
    return Dataset(Images.measured(x.astype(np.uint8)), y.astype(np.int32), "classification", 2)


@pytest.fixture(scope="module")
def check():
    tried = [
        ImageTransformation("vertical_reflection", "top and bottom", {"vertical_reflection": 0.5}),
        ImageTransformation("reflection", "left and right", {"reflection": 0.5}),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeping, "transformations", lambda image: tried)
        patch.setattr(keeping, "STEPS", 250)
        return keeping.check(bars(700), np.arange(700), pairs=3)


def test_some_transformations_can_be_asked_for_with_more_steps():
    found = keeping.check(
        bars(200), np.arange(200), pairs=2, only=["rotation", "erasing"], steps=30, train=60
    )
    assert found is not None
    assert [f.transformation.name for f in found.effects] == ["rotation", "erasing"]
    assert found.train == 60
    assert found.recipe.epochs == 16
    with pytest.raises(InputError, match="Did you mean 'rotation'"):
        keeping.check(bars(60), np.arange(60), only=["rotations"])
    with pytest.raises(InputError, match=r"'shears'.*Did you mean 'shear'"):
        keeping.check(bars(60), np.arange(60), only=["rotation+shears"])


def test_several_transformations_are_tried_as_one():
    found = keeping.check(
        bars(200), np.arange(200), pairs=2, only=["rotation+erasing"], steps=30, train=60
    )
    assert found is not None
    [effect] = found.effects
    assert effect.transformation.fields == {"rotation": 12.0, "erasing": 0.4}
    assert effect.transformation.words == "turns up to 12 degrees and a rectangle erased"


def test_what_turns_one_class_into_another_harms(check):
    upside_down, mirrored = check.effects
    assert upside_down.verdict == "harms"
    assert upside_down.gain.mean < -0.1
    assert {(a, b) for a, b, _ in upside_down.confused} <= {(0, 1), (1, 0)}
    assert upside_down.confused
    assert mirrored.verdict != "harms"
    assert "vertical_reflection" not in check.policy()
    assert (check.together is None) == (not check.policy())


def test_twins_share_everything_but_the_factor():
    data = bars(100)
    small, folds = keeping._sample(data, np.arange(10, 90), 3, seed=1)
    assert len(small) <= 80
    valids = [set(v.tolist()) for _, v in folds]
    assert not valids[0] & valids[1] | valids[1] & valids[2] | valids[0] & valids[2]
    for train, valid in folds:
        assert not set(train.tolist()) & set(valid.tolist())
    originals = {x.tobytes() for x in data.features.pixels[10:90]}
    assert {x.tobytes() for x in small.features.pixels} <= originals


def test_a_deadline_in_the_past_leaves_no_check():
    assert keeping.check(bars(60), np.arange(60), pairs=2, deadline=0.0) is None


def effect(name: str, verdict: EffectVerdict, mean: float, half: float = 0.03) -> TransformationEffect:  # fmt: skip
    """Return an effect of three pairs, of which all together have an interval of ``half`` to either side."""
    fields = next(t for t in keeping.transformations((28, 28, 3)) if t.name == name)
    error = half / stats.t.ppf(0.975, keeping.PRIOR_PAIRS + 2)
    return TransformationEffect(fields, Interval(mean, mean - 1, mean + 1, error, 0.5), verdict)


def test_the_policy_leaves_out_what_harms_and_what_only_bold_ones_may_do():
    effects = (
        effect("translation", "helps", 0.1),
        effect("rotation", "not decided", 0.01),
        effect("scaling", "no effect", -0.01),
        effect("reflection", "not decided", 0.01),
        effect("half_turn", "helps", 0.1),
        effect("brightness", "harms", -0.1),
        effect("shear", "helps", 0.1),
        effect("elastic_alpha", "helps", 0.1),
    )
    policy = Check(effects, 0.1, 3, 100, 50, Recipe()).policy()
    assert set(policy) == {
        "translation", "rotation", "half_turn", "shear", "elastic_alpha", "elastic_sigma",
    }  # fmt: skip
    assert policy["half_turn"] == 0.5
    assert policy["translation"] == pytest.approx(0.08 / np.sqrt(2), abs=1e-3)
    Recipe(**policy)


def test_with_many_images_only_what_helps_is_used_and_mirroring_that_costs_little():
    def policy(images: int, half: float) -> set[str]:
        effects = (
            effect("translation", "not decided", 0.01, half),
            effect("shear", "helps", 0.1, half),
            effect("reflection", "not decided", -0.002, half),
        )
        return set(Check(effects, 0.2, 3, 600, 50, Recipe(), images).policy())

    assert policy(1000, 0.01) == {"translation", "shear", "reflection"}
    assert policy(60_000, 0.01) == {"shear", "reflection"}
    assert policy(60_000, 0.03) == {"shear"}


@pytest.mark.parametrize("pairs", [2, 3, 5])
def test_the_spread_of_all_transformations_decides_with_few_pairs(pairs):
    """Student's interval of two pairs alone is 12.7 standard errors wide to either side and would decide nothing."""
    names = ["translation", "shear", "rotation", "scaling", "brightness", "half_turn"]
    effects = [effect(name, "not decided", 0.0, 0.02) for name in names]
    effects[0] = effect("translation", "not decided", 0.08, 0.02)
    effects[5] = effect("half_turn", "not decided", 0.08, 0.3)  # its own spread is wide
    policy = Check(tuple(effects), 0.2, pairs, 600, 50, Recipe(), 60_000).policy()
    assert set(policy) == {"translation"}


def test_large_images_are_shrunk_by_means_of_squares():
    x = np.random.default_rng(0).integers(0, 256, (3, 7, 9, 3), dtype=np.uint8)
    got = small_images._shrunk(x, 2)
    assert got.shape == (3, 3, 4, 3)
    expected = np.round(x[1, 2:4, 4:6].reshape(4, 3).mean(0))
    np.testing.assert_array_equal(got[1, 1, 2], expected)


@pytest.mark.parametrize("image", [(8, 8, 1), (28, 28, 1), (96, 64, 3)])
def test_every_transformation_is_a_valid_change_of_the_twins_recipe(image):
    base = keeping.twin_recipe((min(image[0], 32), min(image[1], 32), image[2]), 500)
    for t in keeping.transformations(image):
        assert base.replace(**t.fields) != base
