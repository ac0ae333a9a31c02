"""Where the time went."""

from __future__ import annotations

from typing import Any

from popnet.report import format
from popnet.report.charts import axes
from popnet.report.fit_page.facts import Facts
from popnet.report.format import is_number


def show(facts: Facts) -> dict[str, Any]:
    """Return the parts of the run's time, which make up the whole, and the time of compiling within training."""
    s = facts["seconds"]
    # Compiling is a part of training and is summed over threads, so it has no place of its own in the sum.
    parts = [(k, max(s[k], 0.0)) for k in ("reading", "training") if is_number(s.get(k))]
    known = sum(v for _, v in parts)
    rest = s["total"] - known if is_number(s["total"]) else 0.0
    if rest > 0.005 * known and rest > 0.05:
        parts.append(("everything else", rest))
    compiling = s.get("compiling")
    return {
        "parts": [
            {"name": k, "text": format.duration(v), "start": start, "width": width}
            for (k, v), (start, width) in zip(
                parts, axes.shares([v for _, v in parts]), strict=True
            )
        ],
        "compiling": format.duration(compiling) if is_number(compiling) and compiling > 0 else "",
    }
