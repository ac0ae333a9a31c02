"""Made-up facts of a run, as `fit` gives them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from popnet.spec.recipe import Recipe

Facts = dict[str, Any]


def _curves(draw: random.Random, epochs: int, best: int, level: float) -> dict[str, list[float]]:
    steps = range(1, epochs + 1)
    wobble = [draw.gauss(0, 0.002) for _ in steps]
    loss = [level * 0.9 + 0.35 * math.exp(-e / 3) - 0.0006 * e for e in steps]
    valid = [
        level + 0.25 * math.exp(-e / 3) + 0.00004 * max(0, e - best) ** 1.7 + w
        for e, w in zip(steps, wobble, strict=True)
    ]
    return {
        "loss": loss,
        "penalty": [0.01] * epochs,
        "valid_loss": valid,
        "valid_error": [v / 2.2 for v in valid],
        "learning_rate": [2e-3 * (1 - e / (epochs + 1)) for e in steps],
    }


def _columns(count: int) -> list[dict[str, Any]]:
    known = [
        ("age", "numeric", True, "", 0, 73),
        ("workclass", "categorical", True, "", 2799, 8),
        ("fnlwgt", "numeric", True, "", 0, 21648),
        ("education", "categorical", True, "", 0, 16),
        ("education_num", "duplicate", False, "says the same as 'education'", 0, 16),
        ("marital_status", "categorical", True, "", 0, 7),
        ("occupation", "categorical", True, "", 2809, 14),
        ("sex", "boolean", True, "", 0, 2),
        ("hours_per_week", "discrete", True, "", 0, 94),
        ("native_country", "categorical", True, "", 857, 41),
        ("row_id", "identifier", False, "every row has another value", 0, 48842),
    ]
    keys = ("name", "kind", "used", "reason", "missing", "distinct")
    out = [dict(zip(keys, c, strict=True)) for c in known]
    for i in range(len(known), count):
        used = i % 7 > 0
        values = (f"x{i}", "numeric", used, "" if used else "constant", i % 5, i)
        out.append(dict(zip(keys, values, strict=True)))
    return out[:count]


def _population(
    recipes: int, folds: int, seed: int, lower: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    draw = random.Random(seed)
    members: list[dict[str, Any]] = []
    summary: list[dict[str, Any]] = []
    for r in range(recipes):
        recipe = Recipe()
        if r:
            recipe = Recipe(
                learning_rate=10 ** draw.uniform(-3.5, -2),
                dropout=round(draw.uniform(0, 0.5), 3),
                weight_decay=10 ** draw.uniform(-4, -0.5),
                width=draw.choice([64, 128, 256]),
                depth=draw.choice([1, 2, 3, 4]),
                activation=draw.choice(["relu", "gelu", "mish"]),
                norm=draw.choice(["none", "batch", "layer"]),
                numeric_embedding=draw.choice(["none", "periodic"]),
                nesterov=draw.choice([True, False]),
            )
        quality = 0.8665 - abs(draw.gauss(0, 0.006))
        values = recipe.model_dump()
        scores = []
        for fold in range(folds):
            status = draw.choices(
                ["stopped", "finished", "interrupted", "diverged"], [70, 20, 6, 4 if r else 0]
            )[0]
            epochs = draw.randint(18, 100)
            best = max(1, epochs - draw.randint(1, 16))
            score = None if status == "diverged" else quality + draw.gauss(0, 0.002)
            if score is not None and lower:
                score = 1.5 - score
            if score is not None:
                scores.append(score)
            members.append(
                {
                    "id": len(members),
                    "recipe_id": r,
                    "recipe": values,
                    "seed": 0,
                    "fold": fold,
                    "status": status,
                    "epochs": epochs,
                    "best_epoch": 0 if score is None else best,
                    "score": score,
                    "seconds": draw.uniform(1, 6),
                    "weight": 0.0,
                    "curves": _curves(draw, epochs, best, 0.30 + 2 * (0.87 - quality)),
                }
            )
        summary.append(
            {
                "id": r,
                "name": "" if r else "default",
                "recipe": values,
                "folds": folds,
                "score": sum(scores) / len(scores) if scores else None,
                "weight": 0.0,
            }
        )
    usable = sorted((m for m in members if m["score"] is not None), key=lambda m: m["score"])
    if not lower:
        usable.reverse()
    chosen = usable[: min(18, len(usable))]
    for i, m in enumerate(chosen):
        m["weight"] = (len(chosen) - i) / (len(chosen) * (len(chosen) + 1) / 2)
        summary[m["recipe_id"]]["weight"] += m["weight"]
    return members, summary


def build(
    *,
    task: str = "binary",
    recipes: int = 24,
    folds: int = 4,
    columns: int = 11,
    classes: int = 2,
    seed: int = 0,
) -> Facts:
    """Return facts of a made-up run."""
    draw = random.Random(seed)
    lower = task == "regression"
    members, summary = _population(recipes, folds, seed, lower)
    names: list[Any] = ["<=50K", ">50K"] if classes == 2 else [f"class {i}" for i in range(classes)]
    facts: Facts = {
        "title": "income in adult.csv.gz",
        "version": "0.1.0",
        "created": "2025-11-20T14:03:22+00:00",
        "command": "popnet fit adult.csv.gz --target income --time-limit 3m --seed 0",
        "seed": 0,
        "data": {
            "source": "/data/adult/adult.csv.gz",
            "rows": 48_842,
            "rows_without_target": 12,
            "train_rows": 32_549,
            "test_rows": 16_281,
            "split": "stratified",
            "folds": folds,
            "columns": _columns(columns),
            "notes": ["52 rows stand twice in the table.", "'capital_gain': 99999 stands for a cap."],
        },
        "target": {
            "names": ["income"],
            "task": task,
            "classes": names,
            "detected": True,
            "class_counts": [37_155, 11_687] if classes == 2 else [500 - i for i in range(classes)],
        },
        "metric": {"name": "accuracy", "greater_is_better": True},
        "score": 0.87203,
        "interval": [0.86682, 0.87731],
        "metrics": {"accuracy": 0.87203, "balanced_accuracy": 0.7951, "log_loss": 0.27912, "roc_auc": 0.9283},
        "baselines": [
            {
                "name": "constant",
                "metrics": {"accuracy": 0.7607, "balanced_accuracy": 0.5, "log_loss": 0.5508, "roc_auc": 0.5},
            },
            {
                "name": "linear",
                "metrics": {"accuracy": 0.8513, "balanced_accuracy": 0.7637, "log_loss": 0.3183, "roc_auc": 0.9051},
            },
        ],
        "ensemble": {
            "method": "greedy",
            "score": 0.8711,
            "best_member": 0.8672,
            "mean_member": 0.8604,
            "on": "out-of-fold predictions",
            "path": [0.8672 + 0.0039 * (1 - math.exp(-i / 6)) for i in range(40)],
        },
        "members": members,
        "recipes": summary,
        "seconds": {"total": 176.4, "reading": 2.31, "compiling": 21.7, "training": 146.2},
        "time_limit": 180.0,
        "confusion": [[11_720, 710], [1_373, 2_478]],
        "predictions": None,
        "warnings": [],
    }  # fmt: skip
    if classes > 2:
        facts["confusion"] = None
        if classes <= 30:
            facts["confusion"] = [
                [int(400 * math.exp(-2 * abs(i - j))) + draw.randint(0, 4) for j in range(classes)]
                for i in range(classes)
            ]
    if task == "regression":
        true = [math.exp(draw.gauss(12, 0.5)) for _ in range(600)]
        facts["target"] = {"names": ["price"], "task": task, "classes": [], "detected": True}
        facts["metric"] = {"name": "rmse", "greater_is_better": False}
        facts |= {
            "confusion": None,
            "score": 45_231.4,
            "interval": [43_902.0, 46_788.1],
            "metrics": {"rmse": 45_231.4, "mae": 29_876.2, "r2": 0.8423},
            "predictions": {
                "true": true,
                "predicted": [t * math.exp(draw.gauss(0, 0.15)) for t in true],
            },
        }
        facts["baselines"] = [
            {"name": "constant", "metrics": {"rmse": 115_410.8, "mae": 91_020.0, "r2": -0.0004}},
            {"name": "linear", "metrics": {"rmse": 68_903.3, "mae": 49_411.7, "r2": 0.6391}},
        ]
        for m in [*members, *summary]:
            m["score"] = m["score"] and m["score"] * 72_000
        facts["ensemble"] |= {
            "score": 44_910.0,
            "best_member": 45_720.0,
            "mean_member": 46_800.0,
            "path": [45_720 - 810 * (1 - math.exp(-i / 6)) for i in range(40)],
        }
    return facts


TWINS = [
    ("translation", "shifts up to 8 % of the side", {"translation": 0.08}, 0.021, 0.015, 0.027),
    ("rotation", "turns up to 12 degrees", {"rotation": 12.0}, 0.008, 0.002, 0.014),
    ("elastic_alpha", "nonlinear morphing", {"elastic_alpha": 18.6, "elastic_sigma": 3.86}, 0.003, -0.002, 0.008),
    ("brightness", "brightness changed up to 30 %", {"brightness": 0.3}, -0.001, -0.005, 0.003),
    ("reflection", "left and right exchanged", {"reflection": 0.5}, -0.012, -0.018, -0.006),
    ("half_turn", "half turns", {"half_turn": 0.5}, -0.155, -0.170, -0.140),
]  # fmt: skip


def build_images(**changes: Any) -> Facts:
    """Return facts of a made-up fit of images, with twins; arguments as for `build`."""
    facts = build(**{"task": "multiclass", "classes": 10, "folds": 1, "recipes": 8, **changes})
    policy: dict[str, Any] = {
        "translation": 0.08,
        "rotation": 12.0,
        "elastic_alpha": 18.6,
        "elastic_sigma": 3.86,
    }
    for item in [*facts["recipes"], *facts["members"]]:
        i = item.get("recipe_id", item["id"])
        item["recipe"] = Recipe(
            kind="mlp" if i == 3 else "residual", depth=2, width=16, stages=2 if i == 5 else 3,
            learning_rate=4e-3 * (1 + i / 10), **policy | {"rotation": 12.0 + i},
        ).model_dump()  # fmt: skip
    facts["target"]["names"] = ["class"]
    facts["target"]["classes"] = [str(i) for i in range(len(facts["target"]["classes"]))]
    facts["data"]["columns"] = [
        {"name": "image", "kind": "image", "used": True, "reason": "", "missing": 0, "distinct": 70_000}
    ]  # fmt: skip
    facts["data"] |= {"split": "given", "notes": []}
    keys = ("name", "words", "fields", "gain", "low", "high")
    twins: list[dict[str, Any]] = [dict(zip(keys, t, strict=True)) for t in TWINS]
    for t in twins:
        t["verdict"] = "helps" if t["low"] > 0 else "harms" if t["high"] < 0 else "not decided"
        t["confused"] = [{"true": "2", "taken_for": "5", "more": 3}]
    twins[-1]["confused"] = [
        {"true": "6", "taken_for": "9", "more": 14},
        {"true": "9", "taken_for": "6", "more": 11},
    ]
    facts["augmentation"] = {
        "error": 0.043, "pairs": 4, "train": 3000, "valid": 2000, "transformations": twins, "policy": policy,
    }  # fmt: skip
    return facts


@pytest.fixture
def make_image_facts() -> Callable[..., Facts]:
    """Return the maker of made-up facts of images."""
    return build_images


@pytest.fixture
def make_facts() -> Callable[..., Facts]:
    """Return the maker of made-up facts."""
    return build
