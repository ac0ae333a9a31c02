"""The command line: parse, call, print. No logic, and nothing heavy is imported before a command runs."""

from __future__ import annotations

import errno
import sys
from typing import Annotated, Any

import typer

from popnet._version import __version__
from popnet.cli import distillation, evidence, explaining, export, models, serving, settings
from popnet.cli.console import fail, usage_error
from popnet.cli.interrupts import end_at_once, on_interrupt
from popnet.cli.streams import drop, open_streams
from popnet.errors import PopnetError

app = typer.Typer(
    name="popnet",
    help="Train a population of neural nets on your table or images: search, ensemble and score on held-out rows in one run.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for command in (
    models.fit,
    evidence.augment,
    evidence.study,
    evidence.doctor,
    evidence.claims,
    models.predict,
    models.evaluate,
    models.show,
    explaining.importance,
    explaining.explain,
    distillation.distil,
    export.export,
    serving.serve,
    settings.recipe,
    settings.space,
    settings.warm,
):
    app.command()(command)


def _version(value: bool) -> None:
    if value:
        print(f"popnet {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:  # fmt: skip
    """Train a population of neural nets on your table or images."""


def main() -> None:
    """Run the command line; users' mistakes end in one sentence and exit status 2."""
    status: Any = 0
    open_streams()
    try:
        with on_interrupt(end_at_once):
            status = app(standalone_mode=False)
        sys.stdout.flush()
    except PopnetError as error:
        status = fail(str(error), 2)
    except (KeyboardInterrupt, typer.Abort):  # some versions of typer make the latter of the former
        status = 130
    except SystemExit as error:  # what typer makes of a reader that went away, as with `| head`
        status = error.code
        if isinstance(error.__context__, BrokenPipeError):
            drop(sys.stdout)
            status = 0
    except BrokenPipeError:
        drop(sys.stdout)
        status = 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        drop(sys.stdout)
        status = fail("no space is left where the output goes; free some, or give another --out", 1)
    except MemoryError:
        status = fail("out of memory; use fewer rows, or fewer workers (--workers 1)", 1)
    except typer.Exit as error:
        status = error.exit_code
    except Exception as error:  # usage errors carry their own text and exit status
        if not hasattr(error, "format_message"):
            raise
        status = usage_error(error)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            drop(stream)
    sys.exit(status or 0)
