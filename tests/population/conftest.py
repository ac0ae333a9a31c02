"""Programs of these tests are kept on disk, as those of a run are."""

from __future__ import annotations

import pytest

from popnet.runtime import compiled as programs
from popnet.runtime import cpu


@pytest.fixture(scope="session", autouse=True)
def _prepare():
    cpu.prepare()


@pytest.fixture
def compiled(monkeypatch):
    """A list that grows by the form of a program's arguments whenever one is compiled or loaded."""
    forms = []
    compile_ = programs.CompiledCache._compiled

    def counted(self, form, *rest):
        forms.append(form)
        return compile_(self, form, *rest)

    monkeypatch.setattr(programs, "_loaded", programs._Loaded())
    monkeypatch.setattr(programs.CompiledCache, "_compiled", counted)
    return forms
