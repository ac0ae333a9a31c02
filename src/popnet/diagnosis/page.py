"""What the doctor found, as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from popnet.diagnosis.findings import DoctorFinding, Proof
from popnet.diagnosis.nets.checks import ProbedTraining
from popnet.report import format
from popnet.report.document import Document, Dot, Dots, Line, Lines, Picture, Section, Table, Tone

TONES: Mapping[str, Tone] = {"error": "bad", "warning": "bad", "note": "neutral"}

SHOWN: Mapping[str, tuple[str, str, bool]] = {
    "vanishing_gradient": ("gradient", "gradient of a weight", True),
    "exploding_gradient": ("gradient", "gradient of a weight", True),
    "saturated": ("saturated", "share of values where the activation is flat", False),
    "dead_units": ("dead", "share of units that are 0 for every row", False),
    "initialisation": ("signal", "size of the signal (root mean square)", True),
    "rate_too_large": ("update", "step over weights", True),
    "rate_too_small": ("update", "step over weights", True),
    "internal_covariate_shift": ("drift", "drift, standard deviations an epoch", False),
    "dropout_and_norm": ("batch_spread", "log ratio of standard deviations", False),
    "penalty_swamps": ("weight", "size of the weights (root mean square)", True),
}
"""The probe that shows a rule's finding: its name, its axis, whether that is logarithmic."""

CURVES = ("divergence", "over_fitting", "under_fitting", "impatient", "too_few_epochs", "loss_stays")  # fmt: skip
"""Rules that learning curves show."""

MAX_LAYERS = 6


def document(
    title: str,
    findings: Sequence[DoctorFinding],
    trainings: Sequence[ProbedTraining],
    notes: Sequence[str],
    looked: Sequence[str],
    command: str,
    version: str,
    created: str,
) -> Document:
    """Return the page of a diagnosis.

    Args:
        title: of the page.
        findings: the worst first.
        trainings: that the rules looked at.
        notes: lines for people.
        looked: titles of all rules that were applied.
        command, version, created: see `popnet.report.document.Document`.
    """
    errors = sum(f.severity == "error" for f in findings)
    warnings = sum(f.severity == "warning" for f in findings)
    found = (
        f"{format.count(errors, 'error')}, {format.count(warnings, 'warning')}, "
        f"{format.count(len(findings) - errors - warnings, 'note')}"
        if findings
        else "Nothing was found"
    )
    lead = (f"{found}; {len(looked)} rules were applied.",)
    overview = Table(
        ("finding", "where", "how bad", "remedy", "proof"),
        tuple(
            (
                format.capital(f.title), f.where, f.severity, _ended(f.remedy.words),
                "" if f.proof is None else gain(f.proof),
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
    if notes:
        sections.append(Section("notes", "Notes", paragraphs=(". ".join(notes) + ".",)))
    return Document(
        "popnet doctor", title, lead, overview if findings else None, tuple(sections), command, version, created
    )  # fmt: skip


def _ended(text: str) -> str:
    """Return a sentence with one full stop and a capital."""
    return format.capital(text.rstrip(".")) + "."


def _layers(t: ProbedTraining) -> Section:
    """Return what the layers of a net looked like, whether anything was wrong or not."""
    shown = ("gradient", "spread", "update", "drift")
    names = {
        "gradient": "gradient of a weight (root mean square)",
        "spread": "spread of what activations take",
        "update": "step over weights",
        "drift": "drift, standard deviations an epoch",
    }
    pictures = tuple(_lines(t, name, names[name], name != "drift") for name in shown)
    worst = float(np.nanmax(t.layer("dead")[-1])) if t.hidden else 0.0
    kind = "convolution" if t.convolutional else "hidden layer"
    told = (
        f"A net of {format.count(t.hidden, kind)}, trained for {format.count(t.result.epochs, 'epoch')}; the best was "
        f"epoch {t.result.best_epoch}. Most dead units in a layer at the end: {format.percent(worst)}."
    )
    return Section(
        "layers", "What the layers looked like", paragraphs=(told,),
        pictures=pictures,
    )  # fmt: skip


def gain(proof: Proof) -> str:
    """Return a proof in a few words."""
    number = format.number
    return (
        f"{proof.verdict}: {proof.metric} {number(proof.before)} to {number(proof.after)}, gain {number(proof.gain)} "
        f"({number(proof.low)} to {number(proof.high)}, {proof.pairs} pairs of twins)"
    )


def _section(i: int, f: DoctorFinding, trainings: Sequence[ProbedTraining]) -> Section:
    paragraphs = [
        f"{format.capital(f.measured.rstrip('.'))}. Where: {f.where}.",
        f.meaning,
        f"Measured {format.number(f.value)}, threshold {format.number(f.threshold)} ({f.source}).",
        f"Remedy: {_ended(f.remedy.words)}",
    ]
    if f.remedy.fields:
        changes = ", ".join(f"{k} = {v}" for k, v in f.remedy.fields.items())
        paragraphs.append(f"In the recipe: {changes}.")
    pictures: list[Picture] = []
    if f.proof is not None:
        p = f.proof
        paragraphs.append(f"Proof by twins: the remedy {gain(p)}.")
        tone: Tone = "good" if p.verdict == "helps" else "neutral"
        pictures.append(
            Dots(
                (Dot("gain of the remedy", p.gain, p.low, p.high, format.number(p.gain), tone),),
                f"reduction of the {p.metric}; right is better",
            )
        )
    elif f.remedy.fields:
        paragraphs.append("The remedy was not tried: there was no time.")
    if trainings:
        pictures += _pictures(f.rule, trainings[0])
    told = (paragraphs[0], f"Remedy: {_ended(f.remedy.words)}")
    if f.proof is not None:
        told = (*told, f"Proof: the remedy {gain(f.proof)}.")
    return Section(
        f"finding-{i + 1}-{f.rule}".replace("_", "-"),
        format.capital(f.title),
        f.severity,
        TONES[f.severity],
        tuple(paragraphs),
        tuple(pictures),
        told=told,
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
    if rule not in SHOWN:
        return []
    return [_lines(t, *SHOWN[rule])]


def _lines(t: ProbedTraining, name: str, axis: str, log: bool) -> Lines:
    """Return a probe of the layers over the epochs."""
    values = t.layer(name)
    layers = [i for i in range(values.shape[1]) if np.isfinite(values[:, i]).any()]
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
