"""What popnet finds in the columns of every shared table: kinds, what is left out, tasks. Compares two versions.

    python -m benchmarks.kinds [--out FILE]
    python -m benchmarks.kinds --against FILE

A change of how columns are read is tried like this: write what the version before it finds with ``--out``, then compare
with ``--against``, which prints every column that is taken differently and ends with status 1 if there is one.
Tables come from ``POPNET_DATA`` (else ``../shared/data``); the target is the last column.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from popnet.data.tables.read import read_table
from popnet.data.tables.schema import Schema, infer_schema

DATA = Path(os.environ.get("POPNET_DATA") or "../shared/data")

Found = dict[str, dict[str, str]]
"""For each table, what was found about each column and about the target."""


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, help="write what was found as JSON")
    parser.add_argument("--against", type=Path, help="compare with what another version found")
    args = parser.parse_args()
    tables = sorted((DATA / "tables").glob("*"))
    if not tables:
        print(f"There are no tables in {DATA / 'tables'}; set POPNET_DATA.", file=sys.stderr)
        return 2
    found = {folder.name: _kinds(folder) for folder in tables}
    if args.out:
        args.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    if args.against is None:
        for name, columns in found.items():
            print(name, *(f"  {column}: {what}" for column, what in columns.items()), sep="\n")
        return 0
    differences = _differences(json.loads(args.against.read_text(encoding="utf-8")), found)
    print(*differences, sep="\n")
    columns = sum(map(len, found.values()))
    print(f"{len(found)} tables, {columns} columns, {len(differences)} taken differently")
    return 1 if differences else 0


def _kinds(folder: Path) -> dict[str, str]:
    """Return what is found about each column of the table in a folder."""
    path = next(p for p in (folder / "data.csv.gz", folder / "train.csv.gz") if p.exists())
    frame = read_table(path)
    schema = infer_schema(frame, frame.columns[-1])
    return {c.name: _describe(schema, c.name) for c in schema.columns} | {
        schema.target.names[
            0
        ]: f"target: {schema.target.task}, {schema.rows_without_target} missing"
    }


def _describe(schema: Schema, name: str) -> str:
    column = schema.column(name)
    used = "used" if column.used else f"left out ({column.reason})"
    shape = f" {column.format}" if column.format else ""
    return f"{column.kind}{shape}, {used}, {column.missing} missing, {column.distinct} distinct"


def _differences(before: Found, after: Found) -> list[str]:
    """Return a line for each column that both versions know and take differently, or one of them lacks."""
    lines = []
    for table in sorted(before.keys() & after.keys()):
        was, now = before[table], after[table]
        lines += [
            f"{table}, {column}: {was.get(column, 'no such column')} -> {now.get(column, 'no such column')}"
            for column in dict.fromkeys([*was, *now])
            if was.get(column) != now.get(column)
        ]
    return lines


if __name__ == "__main__":
    sys.exit(main())
