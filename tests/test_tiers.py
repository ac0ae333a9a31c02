"""Imports point one way: a module imports from its own tier and those below, never from a higher one."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "popnet"

TIERS = (
    ("_version", "errors", "types"),
    ("runtime", "predictions"),
    ("data",),
    ("spec", "trees"),
    ("augment",),
    ("nn",),
    ("population",),
    ("tuning",),
    ("options", "model", "export"),
    ("prepare", "report"),
    ("ablation",),
    ("diagnosis", "course", "explanation", "distillation"),
    ("fitting",),
    ("tracking",),
    ("estimators",),
    ("serve",),
    ("cli",),
)
TIER = {name: i for i, names in enumerate(TIERS) for name in names}

MAX_LOOSE_FILES = 8
"""Files beside the folders; what belongs to a subject lies in its folder."""

MAX_LINES = 500
"""Of a file."""

LONGER: dict[str, str] = {
    "population/train.py": "the trainer's workers share their state",
}
"""Files above that, and why."""

FORBIDDEN = {"nn": {"data": {"data.dataset"}}, "augment": {"data": {"data.dataset"}}}
"""What of a lower tier a room must not know, but for some modules."""

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
    text = "import popnet.nn.mlp\nfrom popnet import spec\ndef f():\n    from popnet.data import read\nimport os\n"
    assert imported(text) == {("nn", "mlp"), ("spec",), ("data", "read")}
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
def test_rooms_do_not_know_each_other(own):
    known = {
        (str(p.relative_to(SOURCE)), ".".join(n))
        for p in modules()
        if part(p) == own
        for n in imported(p.read_text(encoding="utf-8"))
        if n[0] in FORBIDDEN[own] and ".".join(n[:2]) not in FORBIDDEN[own][n[0]]
    }
    assert not known


def dotted(path: Path, root: Path) -> str:
    """Return a file's name as it is imported, below the root's."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def arrows(root: Path) -> dict[str, set[str]]:
    """Return which modules below a folder each of them imports when it is imported itself."""
    files = {dotted(p, root): p for p in root.rglob("*.py")}
    found: dict[str, set[str]] = {name: set() for name in files}
    for name, path in files.items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            targets = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                targets = [f"{node.module}.{t}" for t in targets] + [node.module or ""]
            for target in targets:
                below = target.removeprefix(f"{root.name}.")
                if below != target and below in files and below != name:
                    found[name].add(below)
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return a circle of a graph, [] if there is none."""
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError as error:
        return error.args[1]
    return []


@pytest.mark.parametrize("root", [SOURCE, SOURCE.parents[1] / "benchmarks"], ids=lambda p: p.name)
def test_no_circles(root):
    graph = arrows(root)
    assert sum(map(len, graph.values())) > 20
    assert not circle(graph)


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    assert not circle({"a": {"b", "c"}, "b": {"c"}, "c": set()})


def test_few_files_lie_loose():
    loose = sorted(p.name for p in SOURCE.glob("*.py"))
    assert len(loose) <= MAX_LOOSE_FILES, f"give one of these a folder: {loose}"


def test_files_are_short():
    long = {
        str(p.relative_to(SOURCE)): n
        for p in SOURCE.rglob("*.py")
        if (n := len(p.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert set(long) == set(LONGER), long


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        (
            "polars",
            {
                "data",
                "prepare",
                "model",
                "export",
                "estimators",
                "report",
                "diagnosis",
                "distillation",
                "serve",
                "explanation",
            },
        ),
        ("sklearn", {"model", "trees", "estimators", "diagnosis", "course"}),
        ("typer", {"cli"}),
        ("rich", {"cli"}),
        ("safetensors", {"model", "trees"}),
        ("jinja2", {"report", "serve"}),
        ("fastapi", {"serve"}),
        ("starlette", {"serve"}),
        ("uvicorn", {"serve"}),
        ("PIL", {"data", "ablation"}),
        ("onnx", {"export"}),
        ("onnxruntime", {"export"}),
        ("optuna", {"tuning"}),
        ("filelock", {"tuning"}),
        ("ray", {"population"}),
        ("mlflow", {"tracking"}),
        ("tensorboardX", {"tracking"}),
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


WRITERS = {
    "runtime/atomic_file.py": "what is kept",
    "model/folder.py": "a file that shows whether a folder can be written",
    "trees/worker.py": "temporary",
    "fitting/boosted_trees.py": "temporary",
    "serve/body.py": "temporary",
    "serve/rows.py": "temporary",
    "cli/streams.py": "stdout and stderr",
}
"""Files that write files, and what; `tests/faults` has each of their changes fail."""


def writes(node: ast.AST) -> bool:
    """Whether a call writes a file, or opens one to write."""
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    modes = [a.value for a in node.args if isinstance(a, ast.Constant)]
    modes += [k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)]
    opens = any(isinstance(m, str) and re.fullmatch(r"[wax][bt+]*|r?b?\+b?", m) for m in modes)
    method = isinstance(node.func, ast.Attribute)
    return (method and name in ("write_bytes", "write_text")) or (name == "open" and opens)


def test_who_writes_files():
    found = {
        str(p.relative_to(SOURCE))
        for p in modules()
        if any(map(writes, ast.walk(ast.parse(p.read_text(encoding="utf-8")))))
    }
    assert found == set(WRITERS)


@pytest.mark.parametrize("page", ["architecture", "internals", "adding"])
def test_paths_that_the_docs_name_are_there(page):
    root = SOURCE.parents[1]
    text = (root / "docs" / f"{page}.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)+)/?(?:\.py)?(?:\.[A-Za-z_]+)?`", text))
    assert len(named) > 10
    homes = [root / "src" / "popnet", root]
    lost = {
        n for n in named if not any((h / n).is_dir() or (h / f"{n}.py").is_file() for h in homes)
    }
    assert not lost
