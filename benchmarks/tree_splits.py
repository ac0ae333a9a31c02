"""The splits of fitted boosted trees in one form for LightGBM, XGBoost, CatBoost and scikit-learn.

A split is a line of a frame: ``tree``, ``parent`` (the column that the split above it asks for, empty at a root),
``column``, ``threshold`` (NaN where levels of a category are told apart) and ``gain`` (the loss that it saved, in the
library's own unit).
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from benchmarks.peers_trees import Boosted

HEAD = ["tree", "parent", "column", "threshold", "gain"]


def _lightgbm(fitted: Boosted, columns: Sequence[str]) -> pd.DataFrame:
    """Return LightGBM's splits up to its best round."""
    booster = fitted.model.booster_
    found = booster.trees_to_dataframe()
    found = found[found["tree_index"] < fitted.rounds * booster.num_model_per_iteration()]
    above = found.set_index("node_index")["split_feature"]
    found = found[found["split_feature"].notna()]
    numbers = found["decision_type"] == "<="
    threshold = pd.to_numeric(found["threshold"].where(numbers), errors="coerce")
    parent = found["parent_index"].map(above).fillna("")
    return pd.DataFrame(
        {"tree": found["tree_index"], "parent": parent, "column": found["split_feature"],
         "threshold": threshold, "gain": found["split_gain"]}
    )  # fmt: skip


def _xgboost(fitted: Boosted, columns: Sequence[str]) -> pd.DataFrame:
    """Return XGBoost's splits up to its best round."""
    found = fitted.model.get_booster()[: fitted.rounds].trees_to_dataframe()
    inner = found[found["Feature"] != "Leaf"]
    above = {
        child: column
        for side in ("Yes", "No")
        for child, column in zip(inner[side], inner["Feature"], strict=True)
    }
    parent = inner["ID"].map(above).fillna("")
    return pd.DataFrame(
        {"tree": inner["Tree"], "parent": parent, "column": inner["Feature"],
         "threshold": inner["Split"].astype(float), "gain": inner["Gain"]}
    )  # fmt: skip


def _catboost_splits(saved: dict[str, Any], columns: Sequence[str]) -> list[tuple[str, float]]:
    """Return column and threshold of each of CatBoost's splits, by its index in the saved model.

    Statistics of the target by categories come last, and one of a combination has the columns' names with ``x``.
    """
    info = saved["features_info"]
    names = {
        (kind, feature["feature_index"]): columns[feature["flat_feature_index"]]
        for kind in ("float", "categorical")
        for feature in info.get(f"{kind}_features") or []
    }
    splits: list[tuple[str, float]] = []
    for feature in info.get("float_features") or []:
        name = names["float", feature["feature_index"]]
        splits += [(name, float(border)) for border in feature.get("borders") or []]
    for feature in info.get("categorical_features") or []:
        name = names["categorical", feature["feature_index"]]
        splits += [(name, float("nan")) for _ in feature.get("values") or []]
    for statistic in info.get("ctrs") or []:
        parts = [
            names["categorical", part["cat_feature_index"]]
            if "cat_feature_index" in part
            else names["float", part["float_feature_index"]]
            for part in statistic["elements"]
        ]
        name = " x ".join(dict.fromkeys(parts))
        splits += [(name, float("nan")) for _ in statistic["borders"]]
    return splits


def _catboost(fitted: Boosted, columns: Sequence[str]) -> pd.DataFrame:
    """Return CatBoost's splits: a level of a tree is one split, whose gain is its share of the column's importance.

    CatBoost counts the importance of a combination of categories with its columns, so that the combination has none.
    """
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "model.json"
        fitted.model.save_model(str(path), format="json")
        saved = json.loads(path.read_text(encoding="utf-8"))
    splits = _catboost_splits(saved, columns)
    lines: list[tuple[int, str, str, float, float]] = []
    for number, tree in enumerate(saved["oblivious_trees"]):
        parent = ""
        for split in tree["splits"] or []:
            column, threshold = splits[split["split_index"]]
            lines.append((number, parent, column, threshold, 1.0))
            parent = column
    found = pd.DataFrame(lines, columns=pd.Index(HEAD))
    importance = dict(zip(columns, fitted.model.get_feature_importance(), strict=True))
    times = found["column"].value_counts()
    found["gain"] = [importance.get(c, 0.0) / times[c] for c in found["column"]]
    return found


def _hgb(fitted: Boosted, columns: Sequence[str]) -> pd.DataFrame:
    """Return the splits of scikit-learn's trees, which have the categories first.

    Columns of more than 255 categories were made numbers; their thresholds are codes.
    """
    model = fitted.model
    category = model.is_categorical_
    ordered = list(columns)
    if category is not None:
        flags = [bool(c) for c in category]
        ordered = [c for c, f in zip(columns, flags, strict=True) if f]
        ordered += [c for c, f in zip(columns, flags, strict=True) if not f]
    lines: list[tuple[int, str, str, float, float]] = []
    for number, predictor in enumerate(p for round_ in model._predictors for p in round_):
        nodes = predictor.nodes
        inner = [n for n in nodes if not n["is_leaf"]]
        above = {n[side]: ordered[n["feature_idx"]] for n in inner for side in ("left", "right")}
        for place, node in enumerate(nodes):
            if not node["is_leaf"]:
                threshold = float("nan") if node["is_categorical"] else float(node["num_threshold"])  # fmt: skip
                column = ordered[node["feature_idx"]]
                lines.append((number, above.get(place, ""), column, threshold, float(node["gain"])))
    return pd.DataFrame(lines, columns=pd.Index(HEAD))


READERS: dict[str, Callable[[Boosted, Sequence[str]], pd.DataFrame]] = {
    "lightgbm": _lightgbm,
    "xgboost": _xgboost,
    "catboost": _catboost,
    "hgb": _hgb,
}


def splits_of(system: str, fitted: Boosted, columns: Sequence[str]) -> pd.DataFrame:
    """Return a fitted system's splits, columns by the names that they are given here."""
    plain = [f"c{i}" for i in range(len(columns))]
    found = READERS[system.removesuffix("-tuned")](fitted, plain)
    names = {"": "", **dict(zip(plain, map(str, columns), strict=True))}

    def named(text: str) -> str:
        return " x ".join(names[part] for part in text.split(" x "))

    return found.assign(parent=found["parent"].map(named), column=found["column"].map(named))


# --- what stands out ------------------------------------------------------------------------------


class Used(NamedTuple):
    """A column as trees use it.

    Attributes:
        column: its name.
        share: of the gain of all splits.
        splits: how many ask for it.
        thresholds: the most frequent ones, with how often each.
        distinct: different thresholds.
    """

    column: str
    share: float
    splits: int
    thresholds: list[tuple[float, int]]
    distinct: int


def most_used(splits: pd.DataFrame, columns: int = 10, thresholds: int = 3) -> list[Used]:
    """Return the columns with the greatest gain, and the thresholds that are used most of each."""
    gain = splits.groupby("column")["gain"].sum().sort_values(ascending=False)
    total = gain.sum() or 1.0
    found = []
    for name in gain.index[:columns]:
        own = splits.loc[splits["column"] == name, "threshold"]
        counts = own.dropna().map(lambda v: float(f"{v:.4g}")).value_counts()
        often = [(float(value), int(n)) for value, n in counts.head(thresholds).items()]
        found.append(Used(str(name), float(gain[name] / total), len(own), often, len(counts)))
    return found


def most_followed(splits: pd.DataFrame, most: int = 8) -> list[tuple[str, str, int, float]]:
    """Return the pairs of different columns of which one follows the other most often in a tree.

    Returns:
        The columns in order of name, how often, and the factor by which this is oftener than if columns followed each
        other by chance, given how often each is a parent or a child.
    """
    below = splits[splits["parent"] != ""]
    if below.empty:
        return []
    parents = below["parent"].value_counts(normalize=True)
    children = below["column"].value_counts(normalize=True)
    pairs = [tuple(sorted(p)) for p in zip(below["parent"], below["column"], strict=True)]
    found = []
    for (a, b), times in Counter(pairs).most_common():
        if a == b:
            continue
        chance = parents.get(a, 0) * children.get(b, 0) + parents.get(b, 0) * children.get(a, 0)
        found.append((a, b, times, times / (chance * len(below))))
    return found[:most]
