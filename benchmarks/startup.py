"""What popnet spends before nets train: compiling, tracing and loading programs, and starting its commands.

    python -m benchmarks.startup [--tables phoneme,adult,otto,mnist] [--others bank,churn,...] [--json FILE]
        [--markdown FILE]

Each measurement is a process of its own. A structure is one of those that ``popnet fit`` compiles for a table in a
minute; its program is compiled (or found on disk) and loaded on every core, and the CPU and wall seconds are those of
training each core's first net less those of training as many again. *Cold* is with an empty folder of compiled
programs, *warm* with those of the same table, *eleventh table* with those of the other tables and not its own.

The commands are ``popnet --help``, ``import popnet; popnet.Classifier``, and ``popnet predict`` of one row, with the
programs of an earlier prediction on disk.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.sources import folder as tables_folder
from benchmarks.table import conditions, cores, markdown
from benchmarks.tables import known, load

TABLES = "phoneme,adult,otto,mnist"
OTHERS = (
    "bank,california,wine_quality,churn,credit_g,letter,cpu_act,default_credit,ames_housing,titanic"
)
HOME = Path(__file__).resolve().parent.parent


def structures(name: str) -> list[dict[str, Any]]:
    """Measure a table's structures; runs in a process of its own.

    Returns:
        For each ``structure``, in words, and ``cpu`` and ``wall`` seconds.
    """
    import numpy as np

    from popnet.options import Options
    from popnet.population.members import Member
    from popnet.population.train import Trainer

    if name == "mnist":
        recipes, make = image_recipes()
    else:
        from popnet.fitting.plan_table import planned_space
        from popnet.fitting.run import prepare

        (table,) = known(name)
        frame, _ = load(table)
        if len(frame) > 20_000:
            frame = frame.sample(20_000, random_state=0)
        ready = prepare(frame, table.target, Options(members=5))
        fold = ready.folds[0]
        space = planned_space(ready.data, len(fold.train), Options(time_limit=60.0))
        base = space.base
        recipes = [base.replace(epochs=1, **shape) for shape in space.shapes]
        rows = np.asarray(fold.train)[: 4 * base.batch_size], np.asarray(fold.valid)[:1024]

        def make() -> Any:
            return arrays_of(ready.data, rows)

    trainer = Trainer(make(), workers=cores())
    trainer.specialised = True
    found = []
    for k, recipe in enumerate(recipes):
        members = [(i, Member(recipe, i, 0)) for i in range(cores())]
        seconds = []
        for _ in range(2):
            wall, cpu = time.perf_counter(), time.process_time()
            list(trainer.run(members))
            seconds.append((time.perf_counter() - wall, time.process_time() - cpu))
        words = f"{recipe.optimizer}, {recipe.numeric_embedding}, {recipe.depth} x {recipe.width}"
        found.append(
            {
                "structure": f"{k + 1}: {words}",
                "wall": seconds[0][0] - seconds[1][0],
                "cpu": seconds[0][1] - seconds[1][1],
            }
        )
    return found


def arrays_of(data: Any, rows: Any) -> Any:
    """Return a run's arrays."""
    from popnet.population.feed import Arrays

    return Arrays(data, data, [rows])


def image_recipes() -> tuple[list[Any], Any]:
    """Return the recipe of images of MNIST's size, and what gives made images."""
    import numpy as np

    from popnet import Dataset
    from popnet.data.dataset import Images
    from popnet.tuning.space.image_space import image_space

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (1024, 28, 28, 1)).astype(np.uint8)
    images = Images.measured(pixels)
    data = Dataset(images, rng.integers(0, 10, 1024).astype(np.int32), "classification", 10)
    base = image_space(images.size, 60_000, 16, {}, None).base
    rows = np.arange(4 * base.batch_size), np.arange(512)
    return [base.replace(epochs=1)], lambda: arrays_of(data, rows)


def child(name: str, cache: Path) -> list[dict[str, Any]]:
    """Return what `structures` finds in a process with a folder of compiled programs."""
    environment = {**os.environ, "POPNET_CACHE": str(cache), "PYTHONPATH": str(HOME)}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.startup", "--child", name],
        env=environment, stdout=subprocess.PIPE, check=True, cwd=HOME,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def process(command: list[str], cache: Path) -> tuple[float, float]:
    """Return the wall and CPU seconds of a whole process, the better of two."""
    environment = {**os.environ, "POPNET_CACHE": str(cache)}
    found = []
    for _ in range(2):
        before, began = os.times(), time.perf_counter()
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        cpu = after.children_user - before.children_user
        cpu += after.children_system - before.children_system
        found.append((time.perf_counter() - began, cpu))
    return min(found)


def commands(folder: Path) -> dict[str, tuple[float, float]]:
    """Return the wall and CPU seconds of the commands."""
    cache, popnet = folder / "commands", [sys.executable, "-m", "popnet"]
    (table,) = known("phoneme")
    frame, _ = load(table)
    frame.to_csv(folder / "table.csv", index=False)
    frame.head(1).drop(columns=table.target).to_csv(folder / "row.csv", index=False)
    model = str(folder / "model")
    fit = [*popnet, "fit", str(folder / "table.csv"), "--target", table.target, "--out", model]
    subprocess.run(
        [*fit, "--time-limit", "20s", "--quiet"], check=True, stdout=subprocess.DEVNULL,
        env={**os.environ, "POPNET_CACHE": str(cache)},
    )  # fmt: skip
    out = ["-o", str(folder / "predictions.csv")]
    every = {
        "popnet --help": [*popnet, "--help"],
        "import popnet; popnet.Classifier": [
            sys.executable,
            "-c",
            "import popnet; popnet.Classifier",
        ],
        "popnet predict, one row": [*popnet, "predict", model, str(folder / "row.csv"), *out],
    }
    process(every["popnet predict, one row"], cache)  # compiles what the fit had no use for
    return {name: process(command, cache) for name, command in every.items()}


def main() -> None:
    """Measure everything, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", default=TABLES)
    parser.add_argument("--others", default=OTHERS, help="fitted before the eleventh table")
    parser.add_argument("--json", type=Path, help="write all measurements")
    parser.add_argument("--markdown", type=Path, help="also write the tables to this file")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(structures(args.child)))
        return
    tables_folder()  # says clearly where tables are not there
    lines, found = [], {}
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        for name in args.others.split(",") if args.others else []:
            child(name, folder / "others")
        for name in args.tables.split(","):
            own = folder / name
            runs = {"cold": child(name, own), "warm": child(name, own)}
            if args.others and name not in args.others.split(","):
                runs["eleventh table"] = child(name, folder / "others")
            found[name] = runs
            for i, first in enumerate(runs["cold"]):
                cells = [f"{r[i]['cpu']:.1f} / {r[i]['wall']:.1f}" for r in runs.values()]
                lines.append([name, first["structure"], *cells, *[""] * (3 - len(cells))])
                print(*lines[-1], sep="  ", file=sys.stderr)
        started = commands(folder)
    head = ["table", "structure", "cold, CPU / wall s", "warm", "eleventh table"]
    text = "\n".join(f"- {line}" for line in conditions("benchmarks.startup")) + "\n\n"
    text += markdown(head, lines) + "\n\n"
    rows = [[name, f"{cpu:.2f}", f"{wall:.2f}"] for name, (wall, cpu) in started.items()]
    text += markdown(["command", "CPU s", "wall s"], rows)
    print(text)
    if args.json:
        args.json.write_text(json.dumps({"structures": found, "commands": started}, indent=1))
    if args.markdown:
        args.markdown.write_text(text + "\n")


if __name__ == "__main__":
    main()
