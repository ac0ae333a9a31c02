"""Tables of many systems on many data sets: each set's scores, ranks over all, and how far popnet is behind trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.table import conditions, cores, markdown
from benchmarks.tables import KNOWN, Table

BOOSTERS = ("lightgbm", "xgboost", "catboost")
CLASS_COLUMNS = ("accuracy", "log_loss", "roc_auc", "balanced_accuracy", "ece")
NUMBER_COLUMNS = ("rmse", "mae", "r2", "coverage")

OWN = ("popnet", "popnet-nets")
"""popnet, and its nets alone. Only the first has a rank, as else one of its own would stand between it and others."""

Result = dict[str, Any]
"""What was measured once, as it is kept."""

Found = dict[str, dict[str, dict[int, Result]]]
"""Results by table, system and seed."""


def mean(results: Sequence[Result], key: str) -> float:
    """Return the mean over seeds; NaN if one of them failed, or there is none."""
    return float(np.mean([r.get(key, np.nan) for r in results])) if results else float("nan")


def shown(value: float, digits: int = 4) -> str:
    """Return a number for a table: of large ones the whole part, a dash of none."""
    if not np.isfinite(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}f}"


def data_set(name: str, systems: dict[str, dict[int, Result]]) -> str:
    """Return a data set's heading and table, the best of the main metric first."""
    columns = CLASS_COLUMNS if KNOWN[name].classes else NUMBER_COLUMNS
    lines, failed, rows = [], [], ""
    for system, by_seed in systems.items():
        results = list(by_seed.values())
        failed += [f"{system} failed, seed {r['seed']}: {r['error']}" for r in results if "error" in r]  # fmt: skip
        good = [r for r in results if "error" not in r]
        if not good:
            continue
        rows = f"{good[0]['rows']:,} training and {good[0]['test_rows']:,} test rows"
        values = [mean(good, c) for c in columns]
        order = -values[0] if KNOWN[name].classes else values[0]
        cells = [system, *(shown(v) for v in values), f"{mean(good, 'seconds'):.1f}"]
        lines.append((order, [*cells, f"{mean(good, 'MB'):.0f}", str(len(good))]))
    head = ["system", *(c.replace("_", " ") for c in columns), "seconds", "MB", "seeds"]
    texts = [f"### {name}", rows, markdown(head, [cells for _, cells in sorted(lines)])]
    return "\n\n".join([*texts, *failed])


def main_metric(table: Table) -> str:
    """Return what a table's systems are ranked by."""
    return "accuracy" if table.classes else "rmse"


def compared(found: Found, systems: Sequence[str], key: str) -> tuple[list[str], np.ndarray]:
    """Return the tables on which all systems were measured, and mean losses ``(tables, systems)``; inf is a failure."""
    names, losses = [], []
    for name, by_system in found.items():
        if not all(by_system.get(s) for s in systems):
            continue
        if key == "log_loss" and not KNOWN[name].classes:
            continue
        seeds = set.intersection(*(set(by_system[s]) for s in systems))
        if not seeds:
            continue
        metric = key if key == "log_loss" else main_metric(KNOWN[name])
        values = np.array([mean([by_system[s][k] for k in seeds], metric) for s in systems])
        names.append(name)
        values = 1 - values if metric == "accuracy" else values
        losses.append(np.where(np.isfinite(values), values, np.inf))
    return names, np.array(losses).reshape(-1, len(systems))


def standings(losses: np.ndarray) -> dict[str, np.ndarray]:
    """Return mean rank, share of duels won (a tie is half) and mean normalised score of each system."""
    duels = (losses[:, :, None] < losses[:, None, :]) + (losses[:, :, None] == losses[:, None, :]) / 2  # fmt: skip
    others = max(1, losses.shape[1] - 1)
    won = (duels.sum(2) - 0.5) / others  # less the tie with itself
    worst = np.where(np.isfinite(losses), losses, -np.inf).max(1, keepdims=True)
    best = losses.min(1, keepdims=True)
    spread = np.where(worst > best, worst - best, 1.0)
    score = np.clip((worst - losses) / spread, 0.0, 1.0)
    return {"rank": 1 + others * (1 - won.mean(0)), "won": won.mean(0), "score": score.mean(0)}


def overview(found: Found, systems: Sequence[str]) -> str:
    """Return a line a table: the main metric of each system, with the log-loss where there are classes."""
    lines = []
    for name, by_system in found.items():
        table = KNOWN[name]
        cells = []
        for system in systems:
            results = [r for r in by_system.get(system, {}).values() if "error" not in r]
            cell = shown(mean(results, main_metric(table)))
            cells.append(f"{cell} / {shown(mean(results, 'log_loss'))}" if table.classes else cell)
        rows = next((r["rows"] for s in by_system.values() for r in s.values()), 0)
        lines.append([f"{name} ({rows:,})", *cells])
    text = "Accuracy / log-loss, or RMSE; training rows in brackets."
    return "\n\n".join(["### At a glance", text, markdown(["table", *systems], lines)])


def summary(found: Found, systems: Sequence[str]) -> str:
    """Return the standings of all systems over the tables on which all were measured."""
    names, losses = compared(found, systems, "error")
    if not names:
        return "There is no table on which all these systems were measured."
    classed, log_losses = compared(found, systems, "log_loss")
    by_error = standings(losses)
    by_log_loss = standings(log_losses) if classed else {}
    seconds = [
        sum(np.nan_to_num(mean([r for r in found[n][s].values() if "error" not in r], "seconds")) for n in names)
        for s in systems
    ]  # fmt: skip
    lines = []
    for k in np.argsort(by_error["rank"]):
        cells = [systems[k], f"{by_error['rank'][k]:.2f}"]
        cells.append(f"{by_log_loss['rank'][k]:.2f}" if classed else "-")
        cells += [f"{100 * by_error['won'][k]:.0f} %", f"{by_error['score'][k]:.3f}"]
        cells.append(f"{by_log_loss['score'][k]:.3f}" if classed else "-")
        lines.append([*cells, f"{seconds[k]:,.0f}", f"{int((~np.isfinite(losses[:, k])).sum())}"])
    head = ["system", "mean rank by error", "by log-loss", "duels won"]
    head += ["score by error", "by log-loss", "seconds", "failed on"]
    text = (
        f"{len(names)} tables on which all were measured ({', '.join(names)}), {len(classed)} of them with classes. "
        "The error is 1 - accuracy, or RMSE; a score is 1 for the best of a table and 0 for the worst; a failure is "
        "last. The seconds are those of one seed of all these tables."
    )
    return "\n\n".join(["### All tables", text, markdown(head, lines)])


def gaps(found: Found) -> str:
    """Return how far popnet is from the best of the boosters with their defaults, table by table."""
    lines: list[list[str]] = []
    points: dict[str, list[float]] = {}
    for name, by_own in behind(found, BOOSTERS).items():
        if "popnet" not in by_own:
            continue
        best, gap = by_own["popnet"]
        points.setdefault(unit(name), []).append(gap)
        there = ["popnet", *(b for b in BOOSTERS if found[name].get(b))]
        _, logs = compared({name: found[name]}, there, "log_loss")
        further = f"{logs[0, 0] - logs[0, 1:].min():+.4f}" if len(logs) else ""
        lines.append([name, best, f"{gap:+.2f} {unit(name)}", further])
    if not lines:
        return ""
    means = [f"{np.mean(values):+.2f} {of} over {len(values)}" for of, values in points.items()]
    text = (
        "How much worse popnet is than the best default booster of each table, chosen by the test rows (below 0: "
        f"better); on average {', '.join(means)}."
    )
    head = ["table", "best booster", "popnet is worse by", "log-loss, best of them"]
    return "\n\n".join(["### Behind the best booster", text, markdown(head, lines)])


def behind(found: Found, others: Sequence[str]) -> dict[str, dict[str, tuple[str, float]]]:
    """Return, for each table, the best of other systems by its test rows and how far popnet and its nets are behind.

    Returns:
        For each table that some of ``others`` was measured on, by the name of popnet or of its nets: the other
        system, and points of accuracy or percent of its RMSE; negative where popnet is ahead. What was not measured,
        or failed, is left out.
    """
    lines: dict[str, dict[str, tuple[str, float]]] = {}
    for name, by_system in found.items():
        rest = [s for s in others if by_system.get(s)]
        for own in OWN:
            if not rest or not by_system.get(own):
                continue
            names, losses = compared({name: by_system}, [own, *rest], "error")
            if not names or not np.isfinite(losses[0, 0]) or not np.isfinite(losses[0, 1:]).any():
                continue
            mine, best = losses[0, 0], losses[0, 1:].min()
            gap = 100 * (mine - best) if KNOWN[name].classes else 100 * (mine / best - 1)
            lines.setdefault(name, {})[own] = (rest[int(losses[0, 1:].argmin())], float(gap))
    return lines


def unit(name: str) -> str:
    """Return what a table's gaps are counted in."""
    return "points of accuracy" if KNOWN[name].classes else "% of RMSE"


def behind_tuned(found: Found) -> str:
    """Return how far popnet and its nets alone are behind the best tuned booster, table by table, and the most."""
    lines = behind(found, [f"{b}-tuned" for b in BOOSTERS])
    if not lines:
        return ""
    rows, most = [], []
    for name, by_own in lines.items():
        cells = [f"{by_own[o][1]:+.2f} {unit(name)}" if o in by_own else "-" for o in OWN]
        rows.append([name, next(iter(by_own.values()))[0], *cells])
    for own in OWN:
        for classes in (True, False):
            gaps = {n: g[own][1] for n, g in lines.items() if own in g and KNOWN[n].classes == classes}  # fmt: skip
            if gaps:
                worst = max(gaps, key=lambda n: gaps[n])
                most.append(f"{own} at most {gaps[worst]:+.2f} {unit(worst)} ({worst})")
    text = (
        "How far popnet, and its nets alone, are behind the best tuned booster of each table, chosen by the test rows "
        f"(below 0: ahead): {'; '.join(most)}."
    )
    head = ["table", "best tuned booster", *OWN]
    return "\n\n".join(["### Behind the best tuned booster", text, markdown(head, rows)])


def worse_than_hgb(found: Found) -> str:
    """Say on how many tables popnet, and its nets alone, are worse than scikit-learn's HistGradientBoosting."""
    lines = behind(found, ["hgb"])
    texts = []
    for own in OWN:
        gaps = {name: by_own[own][1] for name, by_own in lines.items() if own in by_own}
        worse = [f"{n} {g:+.2f} {unit(n)}" for n, g in gaps.items() if g > 0]
        if gaps:
            which = f" ({', '.join(worse)})" if worse else ""
            texts.append(f"{own} is worse than hgb on {len(worse)} of {len(gaps)} tables{which}.")
    return " ".join(texts)


def nets_rank(found: Found, ranked: Sequence[str]) -> str:
    """Say which mean rank by error popnet's nets alone would have in popnet's place."""
    instead = ["popnet-nets" if s == "popnet" else s for s in ranked]
    names, losses = compared(found, instead, "error")
    if not names or "popnet-nets" not in instead:
        return ""
    rank = standings(losses)["rank"][instead.index("popnet-nets")]
    return (
        f"popnet-nets has no part in these ranks; in popnet's place its mean rank by error would be {rank:.2f} "
        f"({len(names)} tables)."
    )


def disturbed(results: Sequence[Result]) -> str:
    """Say how many measurements began while other work ran, which costs a system with a time limit accuracy.

    What was measured just before leaves a load of a process a core.
    """
    busy = sum(r.get("load", 0.0) > 2 * cores() for r in results)
    idle = sum(r.get("members") == 0 for r in results)
    return (
        f"Began on a busy machine (load above {2 * cores()}): {busy} of {len(results)} measurements; popnet had no "
        f"time for a net in {idle}"
    )


def report(found: Found, systems: Sequence[str], versions: dict[str, str]) -> str:
    """Return all tables as Markdown."""
    found = {name: by_system for name, by_system in found.items() if any(by_system.values())}
    if not found:
        return "Nothing was measured."
    there = [s for s in systems if any(by_system.get(s) for by_system in found.values())]
    ranked = [s for s in there if s != "popnet-nets"]
    said = ", ".join(f"{s} {versions[s]}" for s in there if not s.endswith("-tuned"))
    texts = [*(data_set(name, by_system) for name, by_system in found.items())]
    texts += [overview(found, there), summary(found, ranked), nets_rank(found, ranked), gaps(found)]
    texts += [behind_tuned(found), worse_than_hgb(found)]
    results = [r for systems in found.values() for seeds in systems.values() for r in seeds.values()]  # fmt: skip
    lines = [*conditions("benchmarks.accuracy"), f"Systems: {said}", disturbed(results)]
    return "\n\n".join([t for t in texts if t] + ["\n".join(f"- {line}" for line in lines)])
