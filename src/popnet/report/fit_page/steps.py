"""What to do next with a model, as commands to copy."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import PurePath

from popnet.report.fit_page.curves import shortened
from popnet.report.fit_page.facts import FitFacts
from popnet.report.fit_page.fields import of_images
from popnet.report.format import is_number

MODEL = "MODEL.popnet"
"""What a model is called in commands as long as nobody says where it is."""


@dataclass(frozen=True)
class Step:
    """What a command does, and the command."""

    what: str
    command: str


def show(facts: FitFacts, model: str = "") -> list[Step]:
    """Return what to do next; nothing if there is no model that can predict.

    Args:
        facts: of the fit.
        model: the model folder's name.
    """
    if not is_number(facts.score):
        return []
    folder = shlex.quote(model or MODEL)
    images = of_images(facts)
    new = "new-images/" if images else "new.csv"
    source = facts.data.source
    known = bool(PurePath(source).suffix) or images
    data = shlex.quote(PurePath(source).name or source)
    target = "" if images else " --target " + shlex.quote(facts.target.names[0])
    steps = [
        Step(
            f"Predict new {'images' if images else 'rows'}",
            f"popnet predict {folder} {new} --out predictions.csv",
        )
    ]
    if known and not images:
        steps.append(
            Step(
                "See why rows have their answers",
                f"popnet explain {folder} {new} --background {data}",
            )
        )
    cut = shortened(facts)
    if cut and cut.most and known and facts.time_limit:
        steps.append(
            Step(
                "Train for longer",
                f"popnet fit {data}{target} --time-limit {round(5 * facts.time_limit)}s",
            )
        )
    if known:
        steps.append(
            Step("Look for faults in the data and the training", f"popnet doctor {data}{target}")
        )
        steps.append(Step("See which techniques help on this data", f"popnet study {data}{target}"))
    if not images:
        steps.append(
            Step(
                "See whether new rows are still like those trained on",
                f"popnet doctor {folder} --against {new}",
            )
        )
    steps.append(Step("Answer requests over HTTP", f"popnet serve {folder}"))
    name = shlex.quote(PurePath(model or MODEL).stem + ".onnx")
    steps.append(Step("Use it without popnet", f"popnet export {folder} {name}"))
    return steps
