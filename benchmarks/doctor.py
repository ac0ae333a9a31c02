"""The doctor on nets made sick and on healthy ones: which rules fire, and what the remedies' twins show.

    python -m benchmarks.doctor [--tables phoneme,adult,...] [--seeds 1] [--markdown FILE]

A healthy net is the default one of a fit. Each fault is one change of its recipe that a course warns of; the doctor
must name it first among its findings about nets, and the remedy's twins must show a gain. On healthy trainings a rule
about nets that fires is a false alarm, unless its remedy's twins show a gain: then there was something to find.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.table import conditions, markdown
from benchmarks.tables import KNOWN, known, load

FAULTS: dict[str, dict[str, Any]] = {
    "divergence": {"optimizer": "sgd", "learning_rate": 30.0, "norm": "none"},
    "penalty_swamps": {"l2": 1.0},
    "vanishing_gradient": {"depth": 10, "activation": "sigmoid", "norm": "none", "init": "xavier_normal"},
    "exploding_gradient": {"depth": 10, "activation": "relu", "norm": "none", "init_scale": 4.0},
    "rate_too_large": {"learning_rate": 0.5},
    "initialisation": {
        "depth": 4, "activation": "relu", "norm": "none", "init_scale": 0.05, "optimizer": "sgd", "learning_rate": 0.02,
        "weight_decay": 0.0,
    },
    "saturated": {"activation": "tanh", "norm": "none", "init_scale": 6.0, "weight_decay": 0.0},
    "dead_units": {"activation": "relu", "norm": "none", "learning_rate": 0.03, "depth": 4, "width": 64},
    "rate_too_small": {"learning_rate": 1e-6},
    "batch_too_small": {"batch_size": 2, "epochs": 20},
    "over_fitting": {
        "width": 256, "dropout": 0.0, "weight_decay": 0.0, "ema": 0.0, "epochs": 60, "patience": 60, "monitor": "error",
    },
    "under_fitting": {"depth": 0, "numeric_embedding": "none"},
    "internal_covariate_shift": {"norm": "none", "activation": "elu", "depth": 4, "learning_rate": 0.02},
    "dropout_and_norm": {"dropout": 0.95, "depth": 3},
    "impatient": {"patience": 1, "ema": 0.0, "optimizer": "sgd", "learning_rate": 0.2, "schedule": "constant"},
    "too_few_epochs": {"epochs": 2, "learning_rate": 1e-3},
}  # fmt: skip
"""One change of the default net for each rule."""

HEALTHY = "phoneme,adult,bank,letter,churn,california,diamonds,abalone,cpu_act,wine_quality"


def examined(
    frame: pd.DataFrame, target: str, fields: Mapping[str, Any], rows: int, seed: int, prove: bool
) -> tuple[list[Any], float]:
    """Return the findings about nets, and the seconds that it took."""
    from popnet.diagnosis.nets.rules import RULES
    from popnet.diagnosis.run import doctor
    from popnet.options import Options
    from popnet.spec.recipe import Recipe

    names = {r.name for r in RULES}
    began = time.perf_counter()
    options = Options(seed=seed, recipe=Recipe(**fields) if fields else None)
    found = doctor(frame, target, options, rows=rows, prove=prove)
    return [f for f in found.findings if f.rule in names], time.perf_counter() - began


def main() -> None:
    """Run the faults on one table and the healthy nets on all, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", default=HEALTHY)
    parser.add_argument("--faults", default=",".join(FAULTS))
    parser.add_argument("--sick", default="phoneme", help="table of the planted faults")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--no-prove", action="store_true")
    parser.add_argument("--markdown", type=Path)
    args = parser.parse_args()
    texts = []
    if args.faults:
        lines = []
        table = KNOWN[args.sick]
        frame = pd.concat(load(table))
        for fault in args.faults.split(","):
            for seed in range(args.seeds):
                found, seconds = examined(
                    frame, table.target, FAULTS[fault], args.rows, seed, not args.no_prove
                )
                first = found[0].rule if found else ""
                proof = next((f.proof for f in found if f.rule == fault and f.proof), None)
                gain = "" if proof is None else f"{proof.low:+.4f} to {proof.high:+.4f}"
                lines.append([
                    fault, first, "yes" if first == fault else "no",
                    ", ".join(f.rule for f in found[1:]),
                    "" if proof is None else f"{proof.before:.4f} to {proof.after:.4f}", gain,
                    "" if proof is None else proof.verdict, f"{seconds:.0f} s",
                ])  # fmt: skip
                print(lines[-1], file=sys.stderr, flush=True)
        head = [
            "planted", "named first", "right", "also named", "error with the remedy", "95 % interval of the gain",
            "the remedy", "took",
        ]  # fmt: skip
        texts.append(markdown(head, lines))
    if args.tables:
        lines = []
        for table in known(args.tables):
            frame = pd.concat(load(table))
            for seed in range(args.seeds):
                found, seconds = examined(
                    frame, table.target, {}, args.rows, seed, not args.no_prove
                )
                lines.append([
                    table.name, f"{min(len(frame), args.rows):,}", str(len(found)),
                    ", ".join(f"{f.rule} ({f.proof.verdict if f.proof else 'not tried'})" for f in found),
                    f"{seconds:.0f} s",
                ])  # fmt: skip
                print(lines[-1], file=sys.stderr, flush=True)
        texts.append(markdown(["healthy net on", "rows", "findings", "which", "took"], lines))
    texts += conditions("benchmarks.doctor")
    print("\n\n".join(texts))
    if args.markdown:
        args.markdown.write_text("\n\n".join(texts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
