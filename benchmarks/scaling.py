"""What a thousand workers would do: the driver's measured cost per member, and a simulation of the schedule.

    python -m benchmarks.scaling [--members 400] [--markdown FILE]

Measured on this machine with a real Ray: (1) members so short that messages dominate, dealt to one and two workers: the
driver's processor time a task and a member; (2) the same parts alone: drawing a recipe, packing segments and results,
noting a result in the journal, a row of the population table, and their memory. The simulation is of discrete events:
the driver is one server with those costs, workers train tasks of about two seconds (or one member, if that is longer)
whose times vary as measured ones do. It leaves out the network's bandwidth beside the first copy of the data, and
machines that fail.
"""

from __future__ import annotations

import argparse
import heapq
import pickle
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table import conditions, markdown

TASK_SECONDS, MAX_SEGMENTS = 2.0, 64
SPREAD = 0.25
"""Standard deviation of the logarithm of members' times (early stops, other machines)."""


def processor_seconds() -> float:
    """Return the processor time of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def driver(members: int) -> dict[str, float]:
    """Return the driver's measured processor seconds a task and a member, and bytes of messages and results."""
    import ray

    from popnet import Dataset, Recipe
    from popnet.population import engines
    from popnet.population.feed import Arrays
    from popnet.population.members import Member, Result
    from popnet.report.fit_page.gather import population_parquet
    from popnet.tuning.journal import Journal
    from popnet.tuning.space.table_space import default_space
    from popnet.tuning.strategies.base import Run
    from popnet.tuning.strategies.samplers import DRAWS

    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 20))
    data = Dataset.from_arrays(X, (X[:, 0] > 0).astype(int), "binary")
    folds = [(np.arange(300), np.arange(300, 400))]
    recipe = Recipe(depth=2, width=64, batch_size=128, epochs=2)
    found: dict[str, float] = {}

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    trainer = engines.make("ray", Arrays(data, data, folds), workers=2)
    list(trainer.run(enumerate(Member(recipe, s, 0) for s in range(8))))  # compiles
    results: list[Result] = []
    began, processor = time.perf_counter(), processor_seconds()
    for _, result in trainer.run(enumerate(Member(recipe, s, 0) for s in range(members))):
        results.append(result)
    found["ray a member"] = (processor_seconds() - processor) / members
    found["wall a member"] = (time.perf_counter() - began) / members
    # A task's own cost: an empty function, called one after another.
    actor = trainer._actors[0]  # pyright: ignore
    ray.get(actor.__ray_call__.remote(lambda _: None))
    processor = processor_seconds()
    for _ in range(200):
        ray.get(actor.__ray_call__.remote(lambda _: None))
    found["ray a task"] = (processor_seconds() - processor) / 200
    trainer.close()
    ray.shutdown()

    found["message, bytes"] = len(pickle.dumps((0, results[0])))

    def each(work: Any, count: int) -> float:
        began = time.perf_counter()
        for i in range(count):
            work(i)
        return (time.perf_counter() - began) / count

    recipes = DRAWS["random"](default_space(data, 300, None, 1), 0)
    found["draw a recipe"] = each(lambda _: next(recipes), 500)
    with tempfile.TemporaryDirectory() as home:
        journal = Journal(Path(home) / "run")
        found["note in the journal"] = each(
            lambda i: journal.note(Run(i, recipe, 0), results[0]), 200
        )
        journal.close()
    rows = [
        {
            "id": i, "recipe_id": i, "recipe": recipe.model_dump(), "seed": i, "fold": 0, "status": "finished",
            "epochs": 2, "best_epoch": 2, "score": 0.5, "monitored": 0.5, "seconds": 1.0, "weight": 0.0,
        }
        for i in range(2000)
    ]  # fmt: skip
    began = time.perf_counter()
    table = population_parquet({"members": rows})
    found["a row of the table"] = (time.perf_counter() - began) / len(rows)
    found["table, bytes a row"] = len(table) / len(rows)
    found["result without weights, bytes"] = float(len(pickle.dumps(results[0].curves)) + 2000)
    return found


def simulate(
    members: int, workers: int, seconds: float, a_task: float, a_member: float, seed: int = 0
) -> tuple[float, float, float]:
    """Simulate a run; return its seconds, the workers' busy share and the driver's.

    Args:
        members: to train.
        workers: one member at a time each.
        seconds: median of a member's training.
        a_task, a_member: the driver's seconds of each.
        seed: of the members' times.
    """
    rng = np.random.default_rng(seed)
    segments = int(np.clip(round(TASK_SECONDS / seconds), 1, MAX_SEGMENTS))
    ends = [(0.0, k) for k in range(workers)]  # moments at which workers' results arrive
    heapq.heapify(ends)
    now, busy, left, last = 0.0, 0.0, members, 0.0
    driven = 0.0
    while left > 0:
        moment, worker = heapq.heappop(ends)
        count = min(segments, left)
        cost = a_task + count * a_member  # takes results in, and deals the next task
        now = max(now, moment) + cost
        driven += cost
        task = float(seconds * np.exp(SPREAD * rng.standard_normal(count)).sum())
        busy += task
        left -= count
        last = max(last, now + task)
        heapq.heappush(ends, (now + task, worker))
    return last, busy / (last * workers), driven / last


def main() -> None:
    """Measure, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--members", type=int, default=400, help="short members that are dealt by a real Ray"
    )
    parser.add_argument("--markdown", type=Path, help="also write the tables to this file")
    args = parser.parse_args()
    found = driver(args.members)
    lines = [
        [name, f"{value:,.0f}" if "bytes" in name else f"{1e3 * value:.3f} ms"]
        for name, value in found.items()
    ]
    costs = markdown(["driver", "cost"], lines)
    print(costs, file=sys.stderr, flush=True)
    a_member = sum(found[k] for k in ("ray a member", "draw a recipe", "note in the journal"))
    rows = []
    for seconds in (0.1, 1.0, 10.0, 60.0):
        for workers in (10, 100, 1000):
            members = min(1_000_000, max(20_000, int(200 * workers / min(seconds, 1.0))))
            took, busy, driven = simulate(members, workers, seconds, found["ray a task"], a_member)
            million = took * 1_000_000 / members
            rows.append([
                f"{seconds:g} s", f"{workers:,}", f"{100 * busy:.0f} %", f"{100 * driven:.0f} %",
                f"{million / 3600:.1f} h",
            ])  # fmt: skip
    schedule = markdown(["a member", "workers", "workers busy", "driver busy", "a million members"], rows)  # fmt: skip
    print(f"{costs}\n\n{schedule}")
    if args.markdown:
        lines = [costs, schedule, *conditions("benchmarks.scaling")]
        args.markdown.write_text("\n\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
