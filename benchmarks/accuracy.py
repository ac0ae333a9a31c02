"""popnet against boosted trees, tuned trees and other nets on real tables: the same rows for all, each a whole process.

    python -m benchmarks.accuracy [--tables phoneme,adult | further | all] [--systems popnet,lightgbm,xgboost-tuned]
        [--seeds 2] [--limit 60] [--folder .benchmarks/accuracy] [--python-of realmlp,tabm=/tmp/pytabkit_env/bin/python]
        [--report] [--retry] [--markdown FILE]

popnet is ``popnet fit`` with the time limit and no rows held out for a score, then ``popnet predict``; popnet-nets is
the same ``--without trees``, nets alone, and stands beside the others without a rank. The others are in
`benchmarks.peers_trees` and `benchmarks.peers_pytabkit`. popnet, its nets, the tuned trees and AutoGluon have the same
time limit, the rest take the time they take. Tables with a test file keep it, and a seed is the systems' alone; others
are split 80/20 by the seed, stratified by class. Columns that only name a row, or hold the answer, are left out for
all, and a moment becomes year, month, day, weekday and hour.

Each result is a file of its own, of a table, a system, a seed, a limit and a version of that system (popnet's has a
digest of its sources); what is there is not measured again, so a run may be stopped at any moment and continued;
`benchmarks.kept` takes results to another machine. A system that fails is noted with its error; ``--retry`` measures
those again. Time is that of the whole process, from its start to its end, and popnet compiles its programs anew each
time; its predicting is a process after that, and not counted.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import metrics as sk

from benchmarks.kept import FOLDER, HOME, keep, kept
from benchmarks.peers_trees import Job
from benchmarks.standings import BOOSTERS, Found, Result, main_metric, mean, report, shown
from benchmarks.table import cores
from benchmarks.tables import KNOWN, Table, known, load
from popnet.predictions.metrics import METRICS

STANDARD = (
    "phoneme,adult,bank,california,wine_quality,churn,credit_g,letter,cpu_act,default_credit,ames_housing,otto"
)  # fmt: skip
FURTHER = (
    "bike_sharing,connect_4,covertype_60k,diamonds,mercedes,mfeat_factors,jasmine,nursery,chess_krvk,protein,abalone,steps"
)  # fmt: skip
"""Tables of further kinds, none of them in `STANDARD`: counts (bike_sharing, which also has the time in it, and
abalone's rings), interactions of categories (connect_4, nursery), many rows with categories (covertype_60k, diamonds),
wide and short (mercedes, mfeat_factors, jasmine), rough targets (chess_krvk, protein, steps, which is made)."""

LEFT_OUT: dict[str, tuple[str, ...]] = {
    "churn": ("RowNumber", "CustomerId", "Surname"),
    "ames_housing": ("Order", "PID"),
    "otto": ("id",),
    "titanic": ("boat", "body"),
    "bike_sharing": ("casual", "registered"),
    "mercedes": ("ID",),
}
"""Columns that only name a row, or hold the answer."""

MOMENTS = {"bike_sharing": "datetime"}
TREES, NETS = "benchmarks.peers_trees", "benchmarks.peers_pytabkit"
SYSTEMS = {
    "popnet": "popnet",
    "popnet-nets": "popnet",
    **dict.fromkeys(BOOSTERS, TREES),
    **{f"{name}-tuned": TREES for name in BOOSTERS},
    "realmlp": NETS,
    "tabm": NETS,
    "mlp": TREES,
    "hgb": TREES,
    "autogluon": NETS,
}
"""Systems and the modules that run them."""

LIMITED = ("popnet", "popnet-nets", *(f"{name}-tuned" for name in BOOSTERS), "autogluon")
"""Systems that take a time limit."""


# --- processes ------------------------------------------------------------------------------------


class FailedError(Exception):
    """A process failed; the text is one line."""


def run(command: Sequence[str], most: float, **more: str) -> tuple[str, float, float]:
    """Run a process, with ``more`` in its environment; return what it printed, wall seconds, and its peak memory in MB.

    Raises:
        FailedError: it did not end well, or not within ``most`` seconds; it is killed then, with its children.
    """
    paths = os.pathsep.join(p for p in (str(HOME), os.environ.get("PYTHONPATH", "")) if p)
    environment = {**os.environ, "PYTHONPATH": paths, **more}
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, stdout=out, stderr=errors, env=environment, start_new_session=True
        )
        kill = functools.partial(os.killpg, process.pid, signal.SIGKILL)
        timer = threading.Timer(most, kill)
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            kill()
            raise
        finally:
            timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        out.seek(0)
        errors.seek(0)
        said = [line.strip() for line in errors.read().splitlines() if line.strip()]
        if process.returncode:
            late = f"took longer than {most:.0f} s"
            last = said[-1] if said else f"ended with status {process.returncode}"
            raise FailedError(late if seconds >= most else last[:300])
        return out.read(), seconds, usage.ru_maxrss / 1024


def version(system: str, python: str) -> str:
    """Return the version of a system as another interpreter has it.

    Raises:
        FailedError: it cannot be imported there.
    """
    module = SYSTEMS[system]
    if module != "popnet":
        return run([python, "-m", module, "--version", system], 300)[0].strip()
    find = "import importlib.util as u; print(u.find_spec('popnet').origin)"
    place = Path(run([python, "-c", find], 300)[0].strip()).parent
    digest = hashlib.sha256()
    for path in sorted(place.rglob("*.py")):
        digest.update(path.read_bytes())
    lines = (place / "_version.py").read_text(encoding="utf-8").split('"')
    return f"{lines[-2]}-{digest.hexdigest()[:8]}"


def load_average() -> float:
    """Return how many processes wanted a core in the last minute."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


# --- one measurement ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """What one file of results is about."""

    table: Table
    system: str
    seed: int
    limit: float
    version: str

    def path(self, folder: Path) -> Path:
        """Return the place of its result; a system without a time limit has one for all limits."""
        limit = f"{self.limit:g}s" if self.system in LIMITED else "own"
        name = f"{self.system}-seed{self.seed}-{limit}-{self.version}.json"
        return folder / self.table.name / name


def parts(table: Table, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return training and test rows as all systems get them, the target last."""
    found = []
    for frame in load(table, seed):
        frame = frame.drop(columns=list(LEFT_OUT.get(table.name, ())))
        if table.name in MOMENTS:
            when = pd.to_datetime(frame.pop(MOMENTS[table.name])).dt
            for name in ("year", "month", "day", "weekday", "hour"):
                frame.insert(0, name, getattr(when, name))
        found.append(frame)
    return found[0], found[1]


def scores(true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Return metrics of class numbers and probabilities ``(N, C)``, or of numbers ``(N,)``."""
    if not np.isfinite(predicted).all():
        raise FailedError("predictions are not finite")
    if predicted.ndim == 1:
        return {
            "rmse": float(sk.root_mean_squared_error(true, predicted)),
            "mae": float(sk.mean_absolute_error(true, predicted)),
            "r2": float(sk.r2_score(true, predicted)),
        }
    p = predicted / predicted.sum(1, keepdims=True)
    said = p.argmax(1)
    each = [1] if p.shape[1] == 2 else np.unique(true)
    return {
        "accuracy": float(sk.accuracy_score(true, said)),
        "log_loss": float(-np.log(np.clip(p[np.arange(len(p)), true], 1e-12, None)).mean()),
        "roc_auc": float(np.mean([sk.roc_auc_score(true == c, p[:, c]) for c in each])),
        "balanced_accuracy": float(
            np.mean([(said[true == c] == c).mean() for c in np.unique(true)])
        ),
        "ece": METRICS["ece"](true, p),
    }


COVERAGE = 0.9
"""Of the intervals that popnet gives with predicted numbers."""


def predict_by_popnet(
    job: Job, python: str, folder: Path, most: float
) -> tuple[np.ndarray, Result, np.ndarray | None]:
    """Return popnet's predictions of the test rows, what the fit took, and of numbers intervals ``(N, 2)``."""
    command, model = [python, "-m", "popnet"], str(folder / "model")
    without = ["--without", "trees"] if job.system == "popnet-nets" else []
    said, seconds, memory = run(
        [*command, "fit", str(folder / "train.csv"), "--target", job.target, "--time-limit", f"{job.limit:g}s",
         "--test-size", "0", "--seed", str(job.seed), "--out", model, "--json", *without], most,
        POPNET_CACHE=str(folder / "programs"),
    )  # fmt: skip
    fit = json.loads(said)
    facts = {"seconds": seconds, "MB": memory, "members": fit["members"], "warnings": fit["warnings"]}  # fmt: skip
    out = folder / "predictions.csv"
    more = ["--interval", f"{COVERAGE}"] if job.labels is None else ["--proba"]
    run([*command, "predict", model, str(folder / "test.csv"), "-o", str(out), *more], most)
    found = pd.read_csv(out)
    if job.labels is None:
        bounds = found[[f"{job.target}_low", f"{job.target}_high"]].to_numpy(float)
        return found[job.target].to_numpy(float), facts, bounds
    return found[[f"probability_{c}" for c in job.labels]].to_numpy(float), facts, None


def job_of(case: Case, train: pd.DataFrame, test: pd.DataFrame, folder: Path) -> Job:
    """Write a case's rows to a folder and return the job that a system has there; its time begins now."""
    table = case.table
    labels = sorted(train[table.target].unique()) if table.classes else None
    X = pd.concat([train, test]).drop(columns=table.target)
    text = [c for c in X.columns if not pd.api.types.is_numeric_dtype(X[c])]
    train.to_csv(folder / "train.csv", index=False)
    test.drop(columns=table.target).to_csv(folder / "test.csv", index=False)
    job = Job(
        case.system, table.target, None if labels is None else [str(c) for c in labels], text,
        case.seed, case.limit, time.time(), cores(),
    )  # fmt: skip
    job.write(folder)
    return job


def true_values(job: Job, test: pd.DataFrame) -> np.ndarray:
    """Return the test rows' class numbers, or numbers."""
    if job.labels is None:
        return test[job.target].to_numpy(float)
    codes = pd.Categorical(test[job.target].astype(str), categories=job.labels).codes
    if codes.min() < 0:
        raise FailedError("test rows have a class that training rows lack")
    return np.asarray(codes, int)


def measure(case: Case, python: str, most: float) -> Result:
    """Fit a system, predict the test rows, and return their scores; or the error in a line."""
    train, test = parts(case.table, case.seed)
    found: Result = {
        "table": case.table.name, "system": case.system, "seed": case.seed, "version": case.version,
        "limit": case.limit if case.system in LIMITED else None, "rows": len(train), "test_rows": len(test),
        "load": load_average(),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        job = job_of(case, train, test, folder)
        bounds = None
        try:
            if SYSTEMS[case.system] == "popnet":
                predicted, facts, bounds = predict_by_popnet(job, python, folder, most)
            else:
                _, seconds, memory = run([python, "-m", SYSTEMS[case.system], str(folder)], most)
                facts = {"seconds": seconds, "MB": memory}
                predicted = np.load(folder / "predictions.npz")["predicted"]
            true = true_values(job, test)
            if bounds is not None:
                held = (bounds[:, 0] <= true) & (true <= bounds[:, 1])
                facts["coverage"] = float(held.mean())
            return {**found, **scores(true, predicted), **facts}
        except FailedError as error:
            return {**found, "error": str(error)}
        except Exception as error:  # of an answer that is not as it should be
            return {**found, "error": f"{type(error).__name__}: {error}".splitlines()[0]}


def once(
    case: Case, python: str, folder: Path, most: float, retry: bool = False
) -> tuple[Result, bool]:
    """Return a case's result, measured and written if there is none yet; and whether it was."""
    path = case.path(folder)
    result = kept(path, retry)
    if result is not None:
        return result, False
    result = measure(case, python, most)
    keep(path, result)
    return result, True


# --- the run --------------------------------------------------------------------------------------


def pythons(choices: Sequence[str]) -> dict[str, str]:
    """Return the interpreter of each system, given ``realmlp,tabm=PYTHON`` for some."""
    found = dict.fromkeys(SYSTEMS, sys.executable)
    for choice in choices:
        names, _, python = choice.partition("=")
        found.update(dict.fromkeys(names.split(","), python))
    return found


def pairs(choices: Sequence[str]) -> dict[str, str]:
    """Return ``NAME=VALUE`` options as a dictionary."""
    return dict(choice.split("=", 1) for choice in choices)


def present(
    systems: Sequence[str],
    python: dict[str, str],
    chosen: dict[str, str],
    tell: Callable[[str], None],
) -> dict[str, str]:
    """Return the versions of systems, and say of each that is not there that it is left out."""
    found = {}
    for system in systems:
        try:
            found[system] = chosen.get(system) or version(system, python[system])
        except FailedError as error:
            tell(f"{system} is left out: {error}.")
    return found


def main() -> None:
    """Measure what is missing, and print all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", default=STANDARD, help="names, further, or all")
    parser.add_argument("--systems", default=",".join(s for s in SYSTEMS if s != "autogluon"))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0, help="measure and report from it on")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--report", action="store_true", help="only print what was measured")
    parser.add_argument("--retry", action="store_true", help="measure what failed once more")
    parser.add_argument(
        "--most", type=float, default=3600.0, help="seconds after which a fit is killed"
    )
    parser.add_argument(
        "--python-of", action="append", default=[], metavar="SYSTEM[,SYSTEM]=PYTHON"
    )
    parser.add_argument(
        "--version-of", action="append", default=[], metavar="SYSTEM=VERSION",
        help="use results of this version, as of a run before popnet was changed",
    )  # fmt: skip
    parser.add_argument("--markdown", type=Path, help="also write the report to this file")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the child ends, too
    systems = args.systems.split(",")
    if unknown := [s for s in systems if s not in SYSTEMS]:
        sys.exit(f"There is no system {unknown[0]}; there are {', '.join(SYSTEMS)}.")
    tables = known({"all": ",".join(KNOWN), "further": FURTHER}.get(args.tables, args.tables))
    python = pythons(args.python_of)

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    versions = present(systems, python, pairs(args.version_of), tell)
    systems = list(versions)
    found: Found = {t.name: {s: {} for s in systems} for t in tables}
    for table in tables:
        for seed in range(args.first_seed, args.seeds):
            for system in systems:
                case = Case(table, system, seed, args.limit, versions[system])
                path = case.path(args.folder)
                if args.report and kept(path, args.retry) is None:
                    continue
                result, new = once(case, python[system], args.folder, args.most, args.retry)
                if new:
                    said = result.get("error") or shown(mean([result], main_metric(table)))
                    tell(f"{path.relative_to(args.folder)}: {said}, {result.get('seconds', 0):.1f} s")  # fmt: skip
                found[table.name][system][seed] = result
    text = report(found, systems, versions)
    print(text)
    if args.markdown:
        args.markdown.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
