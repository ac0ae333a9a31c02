"""What each part of the default recipe brings: twins without it, on several real tables.

    python -m benchmarks.recipe_parts [--tables california,wine_quality,letter] [--rows 6000] [--pairs 6]
        [--parts heads=4,input_scale=0] [--markdown FILE]

`popnet.study` of the default net with one part changed at a time, on rows of a table's training part (the other
benchmarks' test rows are not looked at). What is shown is by how many percent the loss of a single net is greater
without the part (log-loss, or the unexplained variance of a regression), with the study's interval; bold where its
verdict is that the change helps or harms.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.study import CLEAR
from benchmarks.table import conditions, markdown
from benchmarks.tables import known, load

TABLES = "california,wine_quality,letter,cpu_act,phoneme,bank,adult,churn"

PARTS = {
    "numeric_embedding=none": "no embedding of numbers",
    "numeric_embedding=periodic": "periods instead of bins",
    "optimizer=adamw": "AdamW instead of Muon, as many epochs",
    "norm=none": "no batch normalization",
    "activation=relu": "ReLU instead of mish",
    "schedule=constant": "a constant learning rate",
    "schedule=flat_cosine": "flat, then a cosine",
    "ema=0": "no averaged weights",
    "weight_decay=0": "no weight decay",
    "weight_decay=1": "five times the weight decay",
    "decay_schedule=flat_cosine": "decay flat, then a cosine",
    "dropout=0.2": "dropout of 0.2",
    "input_scale=0": "no learned scales of the inputs",
    "beta2=0.95": "beta2 of 0.95",
    "heads=4": "four heads on shared weights (TabM)",
    "parametrization=ntk": "NTK parametrization",
    "depth=1": "one layer instead of three",
}
"""What a study changes, and its name for people."""


def losses(name: str, rows: int, pairs: int, parts: Sequence[str]) -> dict[str, str]:
    """Return for each change of ``parts`` by how much the loss of a table's nets grows."""
    from popnet.ablation.run import study
    from popnet.options import Options

    table = known(name)[0]
    train, _ = load(table)
    factors: dict[str, list[str]] = {}
    for change in parts:
        field, value = change.split("=")
        factors.setdefault(field, []).append(value)
    effects = study(
        train, table.target, Options(seed=0), factor=[f"{f}={','.join(v)}" for f, v in factors.items()],
        rows=rows, pairs=pairs,
    ).found.effects  # fmt: skip
    found: dict[str, str] = {}
    for change in parts:
        for e in effects:
            # A level is called "optimizer adamw at 0.007", the others like "ema 0".
            if (e.level + " ").startswith(change.replace("=", " ") + " "):
                worse = (-100 * v / e.base_error for v in (e.gain.mean, e.gain.high, e.gain.low))
                text = "{:+.1f} ({:+.1f} to {:+.1f})".format(*worse)
                found[change] = f"**{text}**" if e.verdict in CLEAR else text
    return found


def main() -> None:
    """Run the studies and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", default=TABLES)
    parser.add_argument("--rows", type=int, default=6000, help="of a table, at most")
    parser.add_argument("--pairs", type=int, default=6, help="of twins")
    parser.add_argument("--parts", default=",".join(PARTS), help="changes, of those that there are")
    parser.add_argument("--markdown", type=Path)
    args = parser.parse_args()
    names, parts = args.tables.split(","), args.parts.split(",")
    if unknown := [p for p in parts if p not in PARTS]:
        sys.exit(f"There is no part {unknown[0]}; there are {', '.join(PARTS)}.")
    columns = []
    for name in names:
        began = time.perf_counter()
        columns.append(losses(name, args.rows, args.pairs, parts))
        print(name, f"{time.perf_counter() - began:.0f} s", columns[-1], file=sys.stderr, flush=True)  # fmt: skip
    lines = [
        [words, *(c.get(change, "") for c in columns)]
        for change, words in PARTS.items()
        if change in parts
    ]
    texts = [markdown(["changed", *names], lines), *conditions("benchmarks.recipe_parts")]
    print("\n\n".join(texts))
    if args.markdown:
        args.markdown.write_text("\n\n".join(texts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
