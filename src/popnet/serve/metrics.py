"""What a server counts, as Prometheus reads it (text format 0.0.4)."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper ends of the bins of latencies: Prometheus' usual ones, up to the usual time limit."""

COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096)
"""Upper ends of the bins of rows, and of requests, that one pass predicts."""


class Histogram:
    """Counts of values by bins, their sum and number.

    Args:
        ends: upper ends of the bins, ascending.
    """

    def __init__(self, ends: Sequence[float]) -> None:
        self._ends = ends
        self._counts = [0] * (len(ends) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._ends, value)] += 1
        self._sum += value

    def lines(self, name: str) -> list[str]:
        """Return the histogram's lines: counts are of all values up to a bin's end."""
        found, total = list[str](), 0
        for end, count in zip((*self._ends, None), self._counts, strict=True):
            total += count
            label = "+Inf" if end is None else f"{end:g}"
            found.append(f'{name}_bucket{{le="{label}"}} {total}')
        return [*found, f"{name}_sum {self._sum:.9g}", f"{name}_count {total}"]


class Metrics:
    """All that a server counts; any thread may."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._rows = self._loads = self._failed_loads = 0
        self._seconds = Histogram(SECONDS)
        self._pass_rows, self._pass_requests = Histogram(COUNTS), Histogram(COUNTS)

    def request(self, path: str, status: int) -> None:
        """Count an answer."""
        with self._lock:
            self._requests[path, status] += 1

    def predicted(self, seconds: float, rows: int) -> None:
        """Count a request for predictions that was answered with them."""
        with self._lock:
            self._seconds.add(seconds)
            self._rows += rows

    def passed(self, rows: int, requests: int) -> None:
        """Count a pass over the ensemble."""
        with self._lock:
            self._pass_rows.add(rows)
            self._pass_requests.add(requests)

    def loaded(self, good: bool) -> None:
        """Count a model that was loaded anew, or could not be."""
        with self._lock:
            self._loads += good
            self._failed_loads += not good

    def text(self, gauges: Mapping[str, float]) -> str:
        """Return everything for Prometheus.

        Args:
            gauges: what is measured at this moment, by names without the prefix.
        """
        with self._lock:
            lines = _head("popnet_requests_total", "counter", "Answers by path and status.")
            lines += [
                f'popnet_requests_total{{path="{path}",status="{status}"}} {count}'
                for (path, status), count in sorted(self._requests.items())
            ]
            for name, value, what in (
                ("popnet_rows_total", self._rows, "Rows that were predicted."),
                ("popnet_model_loads_total", self._loads, "Models that replaced the one before."),
                ("popnet_model_load_failures_total", self._failed_loads, "Models that could not be read."),
            ):  # fmt: skip
                lines += [*_head(name, "counter", what), f"{name} {value}"]
            for name, histogram, what in (
                ("popnet_request_seconds", self._seconds, "Seconds from a request's first byte to its predictions."),
                ("popnet_pass_rows", self._pass_rows, "Rows that one pass over the ensemble predicts."),
                ("popnet_pass_requests", self._pass_requests, "Requests that one pass over the ensemble answers."),
            ):  # fmt: skip
                lines += [*_head(name, "histogram", what), *histogram.lines(name)]
        for name, value in gauges.items():
            lines += [f"# TYPE popnet_{name} gauge", f"popnet_{name} {value:g}"]
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, what: str) -> list[str]:
    return [f"# HELP {name} {what}", f"# TYPE {name} {kind}"]
