"""A process that fits boosted trees, so that they share no interpreter lock with the nets.

    python -m popnet.trees.worker FOLDER

The folder holds ``job.json`` and ``job.safetensors`` (`write`); each fit's trees appear beside them, whole
(`read`). The process ends when its standard input does, as it does when the one that began it is gone.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from popnet.data.dataset import Dataset, Features
from popnet.trees.forest import Forest
from popnet.trees.grown import StoppedError
from popnet.trees.sequence import Part, TreesJob, fitted
from popnet.types import Array

JOB, ARRAYS = "job.json", "job.safetensors"


def write(folder: Path, job: TreesJob) -> None:
    """Write a job for the process."""
    data, features = job.data, job.data.features
    assert isinstance(features, Features)
    arrays = {
        "numeric": features.numeric, "flags": features.flags, "codes": features.codes, "target": data.target,
    }  # fmt: skip
    if data.weights is not None:
        arrays["weights"] = data.weights
    for k, part in enumerate(job.parts):
        arrays |= {f"train{k}": part.train, f"valid{k}": part.valid}
    every = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    (folder / ARRAYS).write_bytes(save(every))
    left = job.deadline - time.monotonic()
    content = {
        "levels": list(features.levels), "task": data.task, "outputs": data.n_outputs, "folds": len(job.parts),
        "seed": job.seed, "library": job.library, "until": time.time() + left if np.isfinite(left) else None,
    }  # fmt: skip
    (folder / JOB).write_text(json.dumps(content), encoding="utf-8")


def read(folder: Path) -> list[tuple[int, int, Forest]]:
    """Return the number of the setting, the fold and the trees of each fit that has ended, in this order."""
    found: list[tuple[int, int, Forest]] = []
    for path in folder.glob("trees-*.safetensors"):
        _, setting, fold = path.stem.split("-")
        found.append((int(setting), int(fold), Forest.of_arrays(load(path.read_bytes()))))
    return sorted(found, key=lambda each: each[:2])


def _job(folder: Path) -> TreesJob:
    content, arrays = json.loads((folder / JOB).read_bytes()), load((folder / ARRAYS).read_bytes())

    def some(name: str) -> Array | None:
        return arrays.get(name)

    features = Features(
        arrays["numeric"], arrays["flags"], arrays["codes"], tuple(content["levels"])
    )
    data = Dataset(features, arrays["target"], content["task"], content["outputs"], some("weights"))
    parts = [Part(arrays[f"train{k}"], arrays[f"valid{k}"]) for k in range(content["folds"])]
    until = content["until"]
    deadline = np.inf if until is None else time.monotonic() + until - time.time()
    return TreesJob(data, parts, content["seed"], content["library"], deadline)


def _end_with_parent() -> None:
    """End this process as soon as its standard input ends."""
    while os.read(0, 1):
        pass
    os._exit(1)


def main(folder: Path) -> None:
    """Do the job that lies in a folder."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        for setting, fold, forest in fitted(_job(folder)):
            new = folder / "new"
            new.write_bytes(save(forest.arrays()))
            new.rename(folder / f"trees-{setting}-{fold}.safetensors")
    except StoppedError:
        pass


if __name__ == "__main__":
    main(Path(sys.argv[1]))
