"""A distilled net beside its ensemble: what of the score is lost, and what is saved of size and time?

    python -m benchmarks.distil [--tables adult,...] [--seeds 1] [--limit 60s] [--distil-limit 60s] [--width 64]
        [--fit-members N] [--page docs/benchmarks/distil.md]

Each table's ensemble is fitted within the limit, and distilled into one net on the same rows; both are scored on the
rows that the fit held out. What is lost is in the table's metric, with the 95 % interval of the paired difference (of
one split each; greater is worse), and R² or the share of equal classes says how near the net's predictions are. Times
are medians of calls of ``Model.predict_frame``, of one row and of 10,000 (held-out rows over again), sizes those of the
model folders' JSON and weights. ``--page`` puts the table and its conditions into a page of the documentation, in place
of those that are there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl

from benchmarks.export import ROWS, milliseconds
from benchmarks.table import conditions, markdown
from benchmarks.tables import known, load

TABLES = "credit_g,phoneme,wine_quality,california,letter,adult"

BEGIN, END = "<!-- the table: python -m benchmarks.distil -->", "<!-- its end -->"
"""What the table of a page stands between."""

HEAD = [
    "table", "metric", "ensemble", "student", "lost (95 % interval)", "agreement", "members", "size, MB",
    "student, MB", "1 row, ms", "student, ms", "10,000 rows, ms", "student, ms",
]  # fmt: skip


def measure(name: str, seed: int, options: argparse.Namespace) -> list[str]:
    """Return a table's row of the result."""
    import popnet
    from popnet.data.tables.read import read_table
    from popnet.fitting.run import fit
    from popnet.options import Options
    from popnet.runtime import durations

    (table,) = known(name)
    train, test = load(table, seed)
    limit = None if options.fit_members else durations.seconds(options.limit)
    ensemble = fit(
        train, table.target, Options(time_limit=limit, members=options.fit_members, seed=seed)
    ).model
    found = popnet.distil(
        ensemble, train, test=test, width=options.width, seed=seed,
        time_limit=durations.seconds(options.distil_limit),
    )  # fmt: skip
    held_out = read_table(test)
    many = pl.concat([held_out] * (-(-ROWS // held_out.height))).head(ROWS)
    own, theirs = (milliseconds(lambda m=m: m.predict_frame(many)) for m in (found.model, ensemble))
    c = found.comparison
    return [
        f"{name} ({len(train):,})", c.metric, f"{c.ensemble[c.metric]:.5g}", f"{c.student[c.metric]:.5g}",
        f"{c.lost:.2g} ({c.low:.2g} to {c.high:.2g})", f"{c.agreement:.4f}",
        f"{len(ensemble.nets)} + {len(ensemble.trees)}",
        f"{found.ensemble_cost.bytes / 1e6:.2f}", f"{found.student_cost.bytes / 1e6:.2f}",
        f"{1000 * found.ensemble_cost.row_seconds:.3g}", f"{1000 * found.student_cost.row_seconds:.3g}",
        theirs, own,
    ]  # fmt: skip


def put(page: Path, text: str) -> None:
    """Put a table into a page, between `BEGIN` and `END`."""
    whole = page.read_text(encoding="utf-8")
    before, _, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"{page} has no lines {BEGIN!r} and {END!r}.")
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Measure the tables and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", default=TABLES)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--limit", default="60s", help="of a fit")
    parser.add_argument("--distil-limit", default="60s", help="of a distillation")
    parser.add_argument(
        "--fit-members", type=int, help="nets of a fit, without a limit of its time"
    )
    parser.add_argument("--width", type=int)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    rows: list[list[str]] = []
    for name in options.tables.split(","):
        for seed in range(options.seeds):
            rows.append(measure(name, seed, options))
            print(*rows[-1], sep=" | ", flush=True)
    text = "\n".join(
        [markdown(HEAD, rows), "", *(f"- {c}" for c in conditions("benchmarks.distil"))]
    )
    print(text)
    if options.page:
        put(options.page, text)


if __name__ == "__main__":
    main()
