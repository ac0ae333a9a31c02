"""What fuzzing found stays mended: each file below ``found/TARGET`` once brought something else than a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import seeds, targets

FOUND = sorted(p for p in (Path(__file__).parent / "found").rglob("*") if p.is_file())


@pytest.mark.parametrize("path", FOUND, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_it_is_a_sentence_now(path):
    targets.TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("name", targets.TARGETS)
def test_targets_take_what_they_begin_with(name):
    some = list(seeds.SEEDS[name]())
    assert len(set(some)) > 5
    for data in some[:: max(1, len(some) // 6)]:
        targets.TARGETS[name](data)


def test_a_target_finds_what_is_no_sentence(monkeypatch):
    def broken(path: object) -> None:
        raise IndexError(path)

    monkeypatch.setattr(targets, "read_table", broken)
    with pytest.raises(IndexError):
        targets.text(b"\0\0a,b\n1,2\n")
