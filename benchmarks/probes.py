"""What probes cost: the same members trained with and without, their share of a training's processor time.

Run by ``python -m benchmarks.speed --probes``.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from benchmarks.table import conditions, markdown

CASES = (
    (500, 32, 64),
    (2_000, 64, 128),
    (10_000, 128, 256),
    (50_000, 256, 512),
    (200_000, 128, 1024),
)
"""Rows, width and batch size."""


def cost(rounds: int = 5) -> str:
    """Return a table of processor seconds with and without probes, medians of rounds in which each comes first in turn.

    Processor time of one worker, as other work on a machine is seen in it less than in the clock's.
    """
    from popnet import Dataset, Recipe
    from popnet.population.members import Member
    from popnet.population.train import Trainer, arrange

    lines = []
    for rows, width, batch in CASES:
        rng = np.random.default_rng(0)
        X = rng.standard_normal((rows + rows // 4, 32)).astype(np.float32)
        data = Dataset.from_arrays(X, (X[:, 0] * X[:, 1] > 0).astype(int), "binary")
        folds = [(np.arange(rows), np.arange(rows, len(X)))]
        epochs = int(np.clip(1_000_000 // rows, 12, 300))
        recipe = Recipe(depth=3, width=width, batch_size=batch, epochs=epochs, patience=epochs)
        trainers = [Trainer(arrange(data, None, folds), workers=1, probed=p) for p in (False, True)]
        members = [Member(recipe, s, 0) for s in range(4)]
        seconds = []
        probes = 0
        for k in range(rounds + 1):
            both = [0.0, 0.0]
            for i in (0, 1) if k % 2 else (1, 0):
                began = time.process_time()
                results = dict(trainers[i].run(enumerate(members)))
                both[i] = time.process_time() - began
                found = results[0].probes
                probes = probes if found is None else len(found.epochs)
            if k:  # the first compiles
                seconds.append(both)
        without, with_ = np.median(seconds, axis=0)
        shares = np.array([100 * (b / a - 1) for a, b in seconds])
        low, share, high = np.percentile(shares, [25, 50, 75])
        lines.append([
            f"{rows:,}", f"{width}", f"{batch}", f"{epochs}", f"{probes}", f"{without:.2f} s", f"{with_:.2f} s",
            f"{share:+.1f} % ({low:+.1f} to {high:+.1f})",
        ])  # fmt: skip
        print(lines[-1], file=sys.stderr, flush=True)
    head = [
        "rows",
        "width",
        "batch",
        "epochs",
        "probes of a member",
        "without",
        "with",
        "probes cost",
    ]
    return "\n\n".join([markdown(head, lines), *conditions("benchmarks.speed")])
