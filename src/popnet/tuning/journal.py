"""The journal of a run: what it needs to go on after it was killed.

A folder beside the model's, there while the run lasts. ``run.json`` says what is run (a killed run can be continued
only as the same one), ``plan.json`` what was planned, and there is a file for each member that has ended or paused.
Each is written beside its place, flushed to the disk and then moved there, so that it is there whole or not at all.
"""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from filelock import FileLock, Timeout

from popnet.data.dataset import Dataset
from popnet.errors import InputError
from popnet.population import checkpoint
from popnet.population.members import Member, Result
from popnet.runtime.atomic_file import write_atomic
from popnet.spec.recipe import Fields, Recipe
from popnet.tuning.strategies.base import Run

RUN, PLAN, LOCK, MEMBERS = "run.json", "plan.json", "lock", "members"

Key = tuple[int, int]
"""A recipe's number and a fold."""


class Entry(TypedDict):
    """What is noted of a member beside its arrays.

    Attributes:
        numbers: of its result.
        recipe, seed: of the member.
        seconds: that the run had taken by then.
    """

    numbers: checkpoint.ResultNumbers
    recipe: Fields
    seed: int
    seconds: float


class Journal:
    """A run's folder, held by one process.

    Args:
        folder: where; made if it is not there.
        resume: whether the run in it is to be continued; without, the folder must not hold one.
        anew: whether a run in it that is not to be continued is forgotten.
        warn: called with a sentence about what is lost, which is never more than time.

    Attributes:
        before: seconds that the run had taken when it was killed.

    Raises:
        InputError: another process holds the folder, it holds a run and ``resume`` is not given, there is nothing to
            resume, or it cannot be written.
    """

    def __init__(
        self, folder: Path, resume: bool = False, anew: bool = False,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self.folder, self._warn = folder, warn
        there = (folder / RUN).exists()
        if resume and not there:
            raise InputError(
                f"There is no run to resume in {folder}; leave out --resume to begin one."
            )
        try:
            (folder / MEMBERS).mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / LOCK)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise InputError(
                f"Another process is at work on {folder}; wait for it, or choose another --out."
            ) from None
        except OSError as error:
            raise InputError(f"{folder} cannot be written: {error.strerror}.") from None
        if there and anew and not resume:
            for old in (*(folder / MEMBERS).iterdir(), folder / PLAN, folder / RUN):
                old.unlink(missing_ok=True)
        elif there and not resume:
            self._lock.release()
            raise InputError(
                f"{folder} holds a run that has not ended; continue it with --resume, or begin anew with --overwrite."
            )
        self._began = time.monotonic()
        self._writes = True
        self.before = 0.0
        self._known: dict[Key, Entry] = {}
        if resume:
            self._read()

    # --- what is run -----------------------------------------------------------------------------

    def same(self, header: Mapping[str, Any]) -> None:
        """Write down what is run, or check that it is the run that was begun.

        Args:
            header: plain JSON, by what people call it, as ``{"the target": "price"}``.

        Raises:
            InputError: something differs; says what.
        """
        header = json.loads(json.dumps(header))
        path = self.folder / RUN
        if not path.exists():
            self._write(path, json.dumps(header, indent=1).encode())
            return
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise InputError(
                f"{path} is damaged, so the run cannot be continued; begin anew with --overwrite."
            ) from None
        other = [name for name in header if found.get(name) != header[name]]
        if other:
            name = other[0]
            values = (
                ""
                if len(str(header[name])) > 60
                else f" (then {found.get(name)}, now {header[name]})"
            )
            raise InputError(
                f"The run in {self.folder} cannot be continued: {' and '.join(other)} differ from when it "
                f"was begun{values}. Give the same again, or begin anew with --overwrite."
            )

    def plan(self, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the plan of the run that was begun; make and note one if there is none."""
        path = self.folder / PLAN
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            plan = json.loads(json.dumps(make()))
            self._write(path, json.dumps(plan).encode())
            return plan

    # --- members ---------------------------------------------------------------------------------

    def members(self) -> dict[Key, Member]:
        """Return the members that were trained before, whole or in part."""
        return {
            key: Member(Recipe(**e["recipe"]), e["seed"], key[1]) for key, e in self._known.items()
        }

    def recall(self, run: Run, member: Member, data: Dataset) -> Result | None:
        """Return how a run ended when it was trained before.

        Returns:
            None if it was not: then it is to be trained, from where an earlier run of the member paused.
        """
        key = run.recipe_id, run.fold
        entry = self._known.get(key)
        if entry is None:
            return None
        epochs, paused = entry["numbers"]["epochs"], entry["numbers"]["status"] == "paused"
        if paused and (run.until is None or run.until > epochs):
            return None
        try:
            with np.load(self._path(key), allow_pickle=False) as arrays:
                found = checkpoint.unpack(entry["numbers"], dict(arrays), member, data)
        except Exception as error:  # whatever a damaged archive raises
            self._damaged(self._path(key), error)
            del self._known[key]
            return None
        return found if run.until is None or run.until >= epochs else _earlier(found, run.until)

    def note(self, run: Run, result: Result) -> None:
        """Keep a result, unless the member was cut short."""
        if result.status == "interrupted":
            return
        numbers, arrays = checkpoint.pack(result)
        recipe = result.member.recipe.model_dump()
        entry: Entry = {
            "numbers": numbers, "recipe": recipe, "seed": result.member.seed, "seconds": self.elapsed(),
        }  # fmt: skip
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, entry=np.array(json.dumps(entry)), **arrays)
        self._write(self._path((run.recipe_id, run.fold)), content.getvalue())

    def elapsed(self) -> float:
        """Return seconds that the run has taken, with those before it was killed."""
        return self.before + time.monotonic() - self._began

    # --- the end ---------------------------------------------------------------------------------

    def done(self) -> None:
        """Remove the folder: the model is saved."""
        self._lock.release()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Release the folder for a later run to continue, or remove it if nothing was trained."""
        self._lock.release()
        if not any((self.folder / MEMBERS).glob("*.npz")):
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- files -----------------------------------------------------------------------------------

    def _path(self, key: Key) -> Path:
        return self.folder / MEMBERS / f"{key[0]:06}-{key[1]:02}.npz"

    def _read(self) -> None:
        for path in sorted((self.folder / MEMBERS).glob("*.npz")):
            try:
                recipe_id, fold = map(int, path.stem.split("-"))
                with np.load(path, allow_pickle=False) as arrays:
                    entry: Entry = json.loads(str(arrays["entry"]))
                self.before = max(self.before, float(entry["seconds"]))
            except Exception as error:  # whatever a damaged archive raises
                self._damaged(path, error)
                continue
            self._known[recipe_id, fold] = entry

    def _damaged(self, path: Path, error: Exception) -> None:
        self._warn(f"the checkpoint {path.name} is damaged ({error}); its member is trained again")

    def _write(self, path: Path, data: bytes) -> None:
        if not self._writes:
            return
        try:
            write_atomic(path, data)
        except InputError as error:
            self._writes = False
            self._warn(
                f"the journal {self.folder} cannot be written ({error}); the run goes on without"
            )


def _earlier(result: Result, epochs: int) -> Result:
    """Return a result as it was when its member paused earlier, but for its weights."""
    error = result.member.recipe.monitor == "error"
    scores = result.curves["valid_error" if error else "valid_loss"][:epochs]
    best = int(np.nanargmin(scores)) if np.isfinite(scores).any() else -1
    return replace(
        result,
        status="paused",
        last=None,
        epochs=epochs,
        best_epoch=best + 1,
        best_score=float(scores[best]) if best >= 0 else float("inf"),
        curves={name: values[:epochs] for name, values in result.curves.items()},
    )
