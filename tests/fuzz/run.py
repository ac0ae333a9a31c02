"""Fuzz a reader: give it inputs that are changed again and again where they reach new code.

    python -m tests.fuzz.run TARGET [--minutes 60] [--corpus FOLDER]

TARGET is one of text, columnar, images, description, weights, server, or all (one after the other, the minutes each).
The folder keeps what was learned, so that a later run goes on from there: inputs in FOLDER/TARGET, what was found wrong
in FOLDER/TARGET-found, one input for each kind of error. Ends with status 1 if anything was found. Needs atheris
(``pip install 'popnet[fuzz]'``), which has wheels for Linux.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import time
import traceback
from pathlib import Path

NAMES = ("text", "columnar", "images", "description", "weights", "server")

MAX_BYTES = 1 << 14
"""Of an input."""

MAX_SECONDS = 20
"""Of one input; compiling a net's program takes some of them."""

MAX_MEMORY_MB = 6000
"""Of the process."""


def supervise(name: str, minutes: float, corpus: Path) -> int:
    """Fuzz a target until the time is over, again after an input that ended the process; return the number found."""
    inputs, found = corpus / name, corpus / f"{name}-found"
    for place in (inputs, found):
        place.mkdir(parents=True, exist_ok=True)
    began, count, restarts = time.monotonic(), 0, 0
    while (left := 60 * minutes - (time.monotonic() - began)) > 5:
        command = [
            sys.executable, "-m", "tests.fuzz.run", name, "--corpus", str(corpus), "--child",
            f"-max_total_time={int(left)}", f"-timeout={MAX_SECONDS}", f"-rss_limit_mb={MAX_MEMORY_MB}",
            f"-max_len={MAX_BYTES}", f"-artifact_prefix={found}/", str(inputs),
        ]  # fmt: skip
        with (corpus / f"{name}.log").open("wb") as log:
            subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False)
        said = (corpus / f"{name}.log").read_text(errors="replace")
        done = max(map(int, re.findall(r"^#(\d+)\t", said, re.MULTILINE)), default=0)
        count += done
        if "Done " in said:
            break
        if not done:
            raise SystemExit(said[-3000:])
        restarts += 1
    wrong = sorted(p.name for p in found.iterdir() if p.suffix != ".txt")
    print(
        f"{name}: {count:,} inputs in {(time.monotonic() - began) / 60:.1f} minutes, {restarts} restarts, "
        f"{len(wrong)} found{': ' + ', '.join(wrong) if wrong else ''}",
        flush=True,
    )
    return len(wrong)


def fuzz(name: str, corpus: Path, options: list[str]) -> None:
    """Fuzz a target in this process; an error is kept by its kind and place, and the next input is taken."""
    import atheris

    with atheris.instrument_imports(include=["popnet", "PIL", "zipfile", "gzip", "json"]):
        from . import seeds, targets

    target, found = targets.TARGETS[name], corpus / f"{name}-found"
    for seed in seeds.SEEDS[name]():
        place = corpus / name / hashlib.sha1(seed).hexdigest()
        if not place.exists():
            place.write_bytes(seed)

    def one(data: bytes) -> None:
        try:
            target(data)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # polars' panics are no Exceptions
            kind = _kind(error)
            kept = found / kind
            if not kept.exists() or kept.stat().st_size > len(data):
                kept.write_bytes(data)
                kept.with_suffix(".txt").write_text(
                    "".join(traceback.format_exception(error)), errors="replace"
                )

    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


def _kind(error: BaseException) -> str:
    """Return an error's type and the place in popnet that it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/popnet/" in f.filename] or frames[-1:]
    place = own[-1]
    return (
        f"{type(error).__name__}-{Path(place.filename).stem}-{place.name}-{place.lineno}".replace(
            ".", "_"
        )
    )


def main() -> int:
    """Run the command."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("target", choices=[*NAMES, "all"])
    options.add_argument("--minutes", type=float, default=60.0)
    options.add_argument("--corpus", type=Path, default=Path("fuzz-corpus"))
    options.add_argument("--child", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.child is not None:
        fuzz(given.target, given.corpus, given.child)
        return 0
    names = NAMES if given.target == "all" else (given.target,)
    return int(sum(supervise(name, given.minutes, given.corpus) for name in names) > 0)


if __name__ == "__main__":
    sys.exit(main())
