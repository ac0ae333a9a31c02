"""The command that takes models elsewhere: export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from popnet.cli.arguments import Json, ModelFolder, Quiet, Views
from popnet.runtime import strict_json


def export(
    model: ModelFolder,
    out: Annotated[Path, typer.Argument(metavar="FILE", help="ONNX file to write; it ends in .onnx.", show_default=False)],
    opset: Annotated[int | None, typer.Option(metavar="N", help="Version of ONNX's operators, from 18 on. [default: 18]")] = None,
    check: Annotated[str | None, typer.Option(metavar="DATA", help="Compare onnxruntime's predictions of this table's rows, or of these images, with popnet's own; exit status 1 if probabilities, or values in standard deviations, differ by more than 0.00001.")] = None,
    tta: Views = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Export a model to an ONNX file, which predicts without popnet and without Python."""
    from dataclasses import asdict

    from popnet.data.tables.read import read_table
    from popnet.export import run
    from popnet.model.model import Model

    run.need("onnx")
    if check is not None:
        run.need("onnxruntime")
    loaded = Model.load(model).with_views(tta)
    written = run.export(loaded, out, opset=opset)
    found = None
    if check is not None:
        form = loaded.encoder.image
        data = read_table(check) if form is None else form.read(check)
        found = run.check(loaded, written, data)
    if as_json:
        checked = None if found is None else {**asdict(found), "passed": found.passed}
        print(strict_json.dumps({**written.to_json(), "check": checked}))
    elif not quiet:
        print(
            f"{written.path}: {written.bytes / 1e6:.1f} MB, {written.members} members, opset {written.opset}"
        )
        kinds = ", ".join(f"{name} ({kind})" for name, kind in written.inputs.items())
        print(f"  inputs   {kinds}")
        print(f"  outputs  {', '.join(written.outputs)}")
        if found is not None:
            print(f"  check    {found}: {'passed' if found.passed else 'FAILED'}")
    if found is not None and not found.passed:
        raise typer.Exit(1)
