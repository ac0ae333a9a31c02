"""Imports point one way: a module imports from its own tier and those below, never from a higher one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "popnet"

TIERS = (
    (
        "_version",
        "errors",
        "types",
        "durations",
        "memory",
        "sizes",
        "strict_json",
        "cpu",
        "threads",
        "copies",
        "keys",
        "recipe",
        "bins",
        "row_file",
        "dataset",
        "shape",
    ),
    (
        "data",
        "nn",
        "augment",
        "losses",
        "penalties",
        "metrics",
        "decisions",
        "calibration",
        "intervals",
        "conformal",
        "optim",
    ),
    ("population",),
    ("tuning", "ensemble", "baselines", "twins", "options", "prepare"),
    ("model", "report", "diagnosis", "course"),
    (
        "fit",
        "fitting",
        "transformations",
        "studying",
        "doctoring",
        "claiming",
        "estimators",
        "progress",
        "cli",
    ),
)
TIER = {name: i for i, names in enumerate(TIERS) for name in names}

FORBIDDEN = {
    "nn": {"population", "data", "optim", "losses", "penalties", "metrics"},
    "augment": {"population", "data", "nn"},
    "data": {"nn", "augment", "metrics", "optim"},
    "population": {"data", "metrics"},
}
"""What a part must not know, whether the tiers allow it or not."""

ENTRY = {"__init__", "__main__"}
"""The doors of the package: they may name everything, but not when they are imported (`test_cli.py`)."""


def modules() -> list[Path]:
    return sorted(p for p in SOURCE.rglob("*.py") if p.parent != SOURCE or p.stem not in ENTRY)


def part(path: Path) -> str:
    """Return the top-level name that a file belongs to: ``nn`` for ``nn/mlp.py``."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(text: str) -> set[tuple[str, ...]]:
    """Return what a file imports of popnet, anywhere in it, as paths below it: ``("nn", "mlp")``."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        found |= {tuple(n.split(".")[1:]) for n in names if n.split(".")[0] == "popnet"}
    return found - {()}


def relative(text: str) -> list[int]:
    nodes = ast.walk(ast.parse(text))
    return [n.lineno for n in nodes if isinstance(n, ast.ImportFrom) and n.level > 0]


def test_imports_are_read_from_everywhere_in_a_file():
    text = "import popnet.nn.mlp\nfrom popnet import keys\ndef f():\n    from popnet.fit import fit\nimport os\n"
    assert imported(text) == {("nn", "mlp"), ("keys",), ("fit", "fit")}
    assert relative("from .. import x\n") == [1]


def test_every_part_has_a_tier():
    found = {part(p) for p in modules() if p.stat().st_size}
    assert found <= set(TIER), f"give these a place in TIERS: {found - set(TIER)}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_import_of_a_higher_tier(path):
    text = path.read_text(encoding="utf-8")
    assert not relative(text), "write imports from popnet, in full"
    if part(path) not in TIER:
        pytest.skip("an empty package")
    own = TIER[part(path)]
    higher = {".".join(n) for n in imported(text) if n[0] in TIER and TIER[n[0]] > own}
    assert not higher, f"tier {own} ({part(path)}) imports from above: {sorted(higher)}"
    unknown = {n[0] for n in imported(text)} - set(TIER)
    assert not unknown, f"imports by way of the package's door: {unknown}"


@pytest.mark.parametrize("own", FORBIDDEN)
def test_parts_do_not_know_each_other(own):
    known = {
        (str(p.relative_to(SOURCE)), ".".join(n))
        for p in modules()
        if part(p) == own
        for n in imported(p.read_text(encoding="utf-8"))
        if n[0] in FORBIDDEN[own]
    }
    assert not known


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("polars", {"data", "prepare", "model", "estimators", "report", "diagnosis"}),
        ("sklearn", {"baselines", "estimators", "diagnosis", "course"}),
        ("typer", {"cli"}),
        ("rich", {"progress"}),
        ("safetensors", {"model"}),
        ("jinja2", {"report"}),
        ("PIL", {"data", "report"}),
        ("optuna", {"tuning"}),
        ("filelock", {"tuning"}),
        ("ray", {"population"}),
        ("pickle", set()),
        ("torch", set()),
    ],
)
def test_who_knows_a_library(library, allowed):
    users = set()
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            if any(n.split(".")[0] == library for n in names):
                users.add(part(path))
    assert users <= allowed
