"""Results that are kept: a file each, and many of them in one file, to be taken to another machine.

    python -m benchmarks.kept pack FILE [--folder .benchmarks/accuracy] [--systems lightgbm,catboost]
    python -m benchmarks.kept unpack FILE [--folder .benchmarks/accuracy]

A peer's result stays what it is while popnet changes, so ``benchmarks/measured`` has those of one kind of machine; its
files' names say which. Unpacked, they are not measured again. Times and limits hold for that kind of machine alone: on
another one begin with an empty folder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.standings import Result

HOME = Path(__file__).resolve().parents[1]
FOLDER = HOME / ".benchmarks" / "accuracy"
"""Of the results of `benchmarks.accuracy`, unless another is named."""


def keep(path: Path, result: Result) -> None:
    """Write a result as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    new.rename(path)


def kept(path: Path, retry: bool = False) -> Result | None:
    """Return a result that was written; None if there is none, or a failure that is to be tried again."""
    if not path.exists():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    return None if retry and "error" in found else found


def pack(folder: Path, file: Path, systems: Sequence[str] = ()) -> int:
    """Write a folder's results to one file, a line each; return how many.

    Args:
        folder: of results.
        file: to write, JSON lines.
        systems: whose; none for all.
    """
    lines = []
    for path in sorted(folder.rglob("*.json")):
        result = kept(path)
        if result is not None and (not systems or result.get("system") in systems):
            lines.append(json.dumps({"path": path.relative_to(folder).as_posix(), "result": result}))  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return len(lines)


def unpack(file: Path, folder: Path) -> int:
    """Write the results of a file to a folder, except those that it has; return how many."""
    new = 0
    for line in file.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        path = folder / entry["path"]
        if not path.exists():
            keep(path, entry["result"])
            new += 1
    return new


def main() -> None:
    """Pack or unpack."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("pack", "unpack"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--systems", default="", help="to pack; all if left out")
    args = parser.parse_args()
    if args.what == "pack":
        done = pack(args.folder, args.file, [s for s in args.systems.split(",") if s])
    else:
        done = unpack(args.file, args.folder)
    print(f"{args.what}ed {done} results")


if __name__ == "__main__":
    main()
