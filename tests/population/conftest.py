"""Programs of these tests are kept on disk, as those of a run are."""

from __future__ import annotations

import pytest

from popnet.population import program


@pytest.fixture(scope="session", autouse=True)
def _prepare():
    program.prepare()
