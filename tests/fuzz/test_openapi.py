"""The server keeps to its own OpenAPI: statuses, types and schemas of answers, to requests as described and to others.

Needs schemathesis (extra ``fuzz``), which the test extra leaves out: it brings seven packages for this one test.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from popnet.serve.app import make_app
from popnet.serve.limits import Limits
from popnet.serve.reload import ServedModel

from .holding import folder
from .targets import saved

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis: the extra fuzz")

EXAMPLES = 12
"""Of each route, as described and otherwise."""


def schema(target: str) -> Any:
    """Return a model's server, as it describes itself."""
    saved(target)
    served = ServedModel(folder() / f"sound-{target}", seconds=None)
    app = make_app(served, limits=Limits(rows=50, bytes=100_000))
    return schemathesis.openapi.from_asgi("/openapi.json", app)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("target", ["bought", "price", "images"])
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda m: m.value)
def test_answers_are_as_described(target, mode):
    schemathesis.checks.load_all_checks()
    # What cannot be said in OpenAPI is refused, too (text in a column of numbers), and columns that the model does not
    # read may be anything.
    names = {"positive_data_acceptance", "negative_data_rejection"}
    excluded = schemathesis.checks.CHECKS.get_by_names(sorted(names))
    routes = [result.ok() for result in schema(target).get_all_operations()]
    assert {route.path for route in routes} == {"/predict", "/schema", "/health", "/metrics"}
    for route in routes:
        try:
            _ask(route.as_strategy(generation_mode=mode), excluded)
        except (
            Unsatisfiable
        ):  # of a route without parameters, or of any bytes, every request is as described
            assert mode.value == "negative"


def _ask(cases: Any, excluded: Any) -> None:
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck), derandomize=True,
    )  # fmt: skip
    @given(st.data())
    def asked(data: st.DataObject) -> None:
        case = data.draw(cases)
        case.call_and_validate(excluded_checks=excluded)

    asked()
