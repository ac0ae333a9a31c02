"""What the doctor found, as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from popnet.diagnosis.findings import ORDER, DoctorFinding, Proof
from popnet.diagnosis.nets.checks import ProbedTraining
from popnet.report import format
from popnet.report.document import Document, Dot, Dots, Line, Lines, Picture, Section, Table, Tone

TONES: Mapping[str, Tone] = {"error": "bad", "warning": "bad", "note": "neutral"}


class ProbePicture(NamedTuple):
    """A probe that shows a finding: its name, the name of its axis, and whether that is logarithmic."""

    probe: str
    axis: str
    log: bool


PICTURES: Mapping[str, ProbePicture] = {
    "vanishing_gradient": ProbePicture("gradient", "gradient of a weight", True),
    "exploding_gradient": ProbePicture("gradient", "gradient of a weight", True),
    "saturated": ProbePicture("saturated", "share of values where the activation is flat", False),
    "dead_units": ProbePicture("dead", "share of units that are 0 for every row", False),
    "initialisation": ProbePicture("signal", "size of the signal (root mean square)", True),
    "rate_too_large": ProbePicture("update", "size of a step over size of the weights", True),
    "rate_too_small": ProbePicture("update", "size of a step over size of the weights", True),
    "internal_covariate_shift": ProbePicture(
        "drift", "drift of the means, standard deviations per epoch", False
    ),
    "dropout_and_norm": ProbePicture(
        "batch_spread", "standard deviation: log ratio of evaluation to training", False
    ),
    "penalty_swamps": ProbePicture("weight", "size of the weights (root mean square)", True),
}
"""The probe that shows a rule's finding."""

CURVES = ("divergence", "over_fitting", "under_fitting", "impatient", "too_few_epochs", "loss_stays")  # fmt: skip
"""Rules that learning curves show."""

MAX_LAYERS = 6


def document(
    title: str,
    lead: tuple[str, ...],
    findings: Sequence[DoctorFinding],
    trainings: Sequence[ProbedTraining],
    looked: Sequence[str],
    command: str,
    version: str,
    created: str,
) -> Document:
    """Return the page of a diagnosis.

    Args:
        title: of the page.
        lead: its first paragraphs.
        findings: the worst first.
        trainings: that the rules looked at.
        looked: titles of all rules that were applied.
        command, version, created: see `popnet.report.document.Document`.
    """
    overview = Table(
        ("finding", "where", "how bad", "what to do", "tested"),
        tuple(
            (
                format.capital(f.title), f.where, f.severity, _sentence(f.remedy.words),
                "" if f.proof is None else tested(f.proof),
            )
            for f in findings
        ),
    )  # fmt: skip
    sections = [_section(i, f, trainings) for i, f in enumerate(findings)]
    if trainings:
        sections.append(_layers(trainings[0]))
    looked_for = format.enumeration([t[0].lower() + t[1:] for t in looked])
    sections.append(
        Section("rules", "What was looked for", paragraphs=(f"{format.capital(looked_for)}.",))
    )
    return Document(
        "popnet doctor", title, lead, overview if findings else None, tuple(sections), command, version, created
    )  # fmt: skip


def headline(findings: Sequence[DoctorFinding], rules: int) -> str:
    """Return how much was found, in a sentence."""
    counts = {s: sum(f.severity == s for f in findings) for s in ORDER}
    found = format.enumeration([format.count(n, s) for s, n in counts.items() if n])
    if not any(counts[s] for s in ("error", "warning")):
        found = f"nothing wrong, and {found}" if found else "nothing wrong"
    return f"Found {found}; {format.count(rules, 'rule')} were applied."


def _sentence(text: str) -> str:
    """Return a sentence with one full stop and a capital."""
    return format.capital(text.rstrip(".")) + "."


def _layers(t: ProbedTraining) -> Section:
    """Return what the layers of a net looked like, whether anything was wrong or not."""
    shown = ("gradient", "spread", "update", "drift")
    names = {
        "gradient": "gradient of a weight (root mean square)",
        "spread": "standard deviation of the activations' inputs",
        "update": "size of a step over size of the weights",
        "drift": "drift of the means, standard deviations per epoch",
    }
    pictures = tuple(_lines(t, name, names[name], name != "drift") for name in shown)
    worst = float(np.nanmax(t.layer("dead")[-1])) if t.hidden else 0.0
    kind = "convolution" if t.convolutional else "hidden layer"
    told = (
        f"A net of {format.count(t.hidden, kind)}, trained for {format.count(t.result.epochs, 'epoch')}; epoch "
        f"{t.result.best_epoch} was the best. The largest share of dead units in a layer at the end is "
        f"{format.percent(worst)}."
    )
    return Section(
        "layers", "What the layers looked like", paragraphs=(told,),
        pictures=pictures,
    )  # fmt: skip


def tested(proof: Proof) -> str:
    """Return what the test of a remedy has shown, in a sentence."""
    number = format.number
    said = {
        "helps": "it helps", "does harm": "it does harm here", "does not help": "it does not help here",
        "shows no gain": "no clear gain is seen here",
    }[proof.verdict]  # fmt: skip
    return (
        f"{format.capital(said)}: {proof.metric} {number(proof.before)} without it, {number(proof.after)} with it "
        f"(gain {number(proof.gain)}, 95 % interval {number(proof.low)} to {number(proof.high)})."
    )


def _section(i: int, f: DoctorFinding, trainings: Sequence[ProbedTraining]) -> Section:
    to_do = f"What to do: {_sentence(f.remedy.words)}"
    measured = f"{format.capital(f.measured.rstrip('.'))}. Where: {f.where}."
    answer = [_sentence(f.meaning), to_do]
    method = [measured]
    if f.threshold:  # else it is a count of which any is one too many
        method.append(
            f"The value is {format.number(f.value)}, the threshold {format.number(f.threshold)} ({f.source})."
        )
    told = [*answer]
    if f.remedy.fields:
        changes = ", ".join(f"{k} = {v}" for k, v in f.remedy.fields.items())
        answer.append(f"In the recipe: {changes}.")
    pictures: list[Picture] = []
    if f.proof is not None:
        p = f.proof
        answer.append(f"Tested: {tested(p)}")
        told.append(answer[-1])
        method.append(
            f"The remedy was tested by {format.count(p.pairs, 'pair')} of nets with and without it that are equal in "
            "all else, compared on rows that neither was trained on."
        )
        tone: Tone = "good" if p.verdict == "helps" else "neutral"
        pictures.append(
            Dots(
                (Dot("gain of the remedy", p.gain, p.low, p.high, format.number(p.gain), tone),),
                f"reduction of the {p.metric}; right is better",
            )
        )
    elif f.remedy.fields:
        answer.append("The remedy was not tested.")
    if trainings:
        pictures += _pictures(f.rule, trainings[0])
    return Section(
        f"finding-{i + 1}-{f.rule}".replace("_", "-"),
        format.capital(f.title),
        f.severity,
        TONES[f.severity],
        tuple(answer),
        tuple(pictures),
        method=tuple(method),
        told=(*told, f"Measured: {measured}"),
    )


def _pictures(rule: str, t: ProbedTraining) -> list[Picture]:
    if rule in CURVES:
        valid = t.curve("valid_loss").tolist()
        epochs = list(range(1, len(valid) + 1))
        drawn = (
            Line("training rows", t.probed.tolist(), t.net("loss").tolist()),
            Line("validation rows", epochs, valid),
        )
        return [Lines(drawn, "epoch", "loss")]
    if rule not in PICTURES:
        return []
    return [_lines(t, *PICTURES[rule])]


def _lines(t: ProbedTraining, name: str, axis: str, log: bool) -> Lines:
    """Return a probe of the layers over the epochs."""
    values = t.layer(name)
    layers: list[int] = [i for i in range(values.shape[1]) if np.isfinite(values[:, i]).any()]
    if len(layers) > MAX_LAYERS:  # evenly spaced, the first and the last among them
        layers = [layers[round(k)] for k in np.linspace(0, len(layers) - 1, MAX_LAYERS)]
    drawn = tuple(
        Line(
            "output layer" if i == t.hidden else f"layer {i + 1}", t.probed.tolist(),
            [float(v) if not log or v > 0 else float("nan") for v in values[:, i]],
        )
        for i in layers
    )  # fmt: skip
    return Lines(drawn, "epoch", axis, log_y=log)
