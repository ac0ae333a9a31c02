"""LightGBM's boosted trees (Ke et al. 2017), on one core, within a time; an extra that has to be installed."""

from __future__ import annotations

import importlib
import time
from typing import Any

import numpy as np

from popnet.trees.grown import NODE, Grown, Job, StoppedError, Tree


def boost(job: Job) -> Grown:
    """Return the trees of LightGBM; see `Library`."""
    library: Any = importlib.import_module("lightgbm")  # an extra
    if time.monotonic() > job.deadline or job.stopped():
        raise StoppedError
    setting, outputs = job.setting, job.classes if job.classes > 2 else 1
    parameters: dict[str, object] = {
        "objective": "regression" if not job.classes else "multiclass" if outputs > 1 else "binary",
        "learning_rate": setting.learning_rate, "num_leaves": setting.max_leaf_nodes,
        "min_data_in_leaf": setting.min_samples_leaf, "lambda_l2": setting.l2_regularization,
        "feature_fraction_bynode": setting.max_features, "seed": job.seed, "num_threads": 1, "verbosity": -1,
        "deterministic": True, "force_row_wise": True, "zero_as_missing": False,
        **({"num_class": outputs} if outputs > 1 else {}),
    }  # fmt: skip
    coded = list(range(job.coded))
    train = library.Dataset(
        job.train.X, job.train.y, weight=job.train.weights, categorical_feature=coded
    )
    callbacks: list[object] = [_until(job, library)]
    valid: list[object] = []
    if len(job.valid.y):
        valid.append(
            library.Dataset(job.valid.X, job.valid.y, weight=job.valid.weights, reference=train)
        )
        callbacks.append(library.early_stopping(setting.n_iter_no_change, verbose=False))
    booster = library.train(
        parameters, train, setting.max_iter, valid_sets=valid or None, callbacks=callbacks
    )
    rounds = booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()
    found = booster.dump_model(num_iteration=rounds)["tree_info"]
    trees = [_tree(each["tree_structure"], i % outputs) for i, each in enumerate(found)]
    return Grown(np.zeros(outputs), trees)


def _until(job: Job, library: Any) -> Any:
    """Return a callback that ends boosting when it is stopped, or when the time is over."""

    def check(environment: Any) -> None:
        if time.monotonic() > job.deadline or job.stopped():
            scores: list[Any] = environment.evaluation_result_list or []
            raise library.callback.EarlyStopException(environment.iteration, scores)

    return check


def _tree(root: dict[str, Any], output: int) -> Tree:
    """Return a tree of LightGBM's nested description."""
    nodes: list[dict[str, object]] = []
    sets: list[np.ndarray] = []

    def add(node: dict[str, Any]) -> int:
        place = len(nodes)
        if "leaf_value" in node:
            nodes.append({"is_leaf": 1, "value": node["leaf_value"]})
            return place
        here: dict[str, object] = {"feature_idx": node["split_feature"]}
        nodes.append(here)
        if node["decision_type"] == "==":  # levels that are not known go to the right
            here |= {"is_categorical": 1, "bitset_idx": len(sets)}
            sets.append(_bits([int(level) for level in str(node["threshold"]).split("||")]))
        else:
            here |= {
                "num_threshold": node["threshold"],
                "missing_go_to_left": int(node["default_left"]),
            }
        here["left"] = add(node["left_child"])
        here["right"] = add(node["right_child"])
        return place

    add(root)
    every = np.zeros(len(nodes), NODE)
    for place, node in enumerate(nodes):
        for name, value in node.items():
            every[name][place] = value
    return Tree(output, every, np.array(sets, np.uint32).reshape(-1, 8))


def _bits(levels: list[int]) -> np.ndarray:
    """Return a set of levels as 256 bits, ``(8,)`` uint32."""
    bits = np.zeros(8, np.uint32)
    for level in levels:
        bits[level // 32] |= np.uint32(1 << (level % 32))
    return bits
