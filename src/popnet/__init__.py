"""popnet trains a whole population of neural networks in one compiled program.

That population is at once the hyper-parameter search, the ensemble, the ablation study and the diagnosis. Public
names are loaded on first use: importing popnet starts no device.
"""

# pyright: reportUnusedImport=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from popnet._version import __version__
from popnet.runtime import fork as _fork  # it has to know of every fork from now on

if TYPE_CHECKING:  # the names below are for type checkers; `__getattr__` loads them
    from popnet.ablation.run import Study, study
    from popnet.course.run import Claims, claims
    from popnet.data.dataset import Dataset, Features
    from popnet.diagnosis.run import Diagnosis, doctor
    from popnet.distillation.record import Distilled
    from popnet.distillation.run import distil
    from popnet.errors import ForkError, InputError, ModelError, PopnetError, RecipeError
    from popnet.estimators import Classifier, Regressor
    from popnet.explanation.effects import effects
    from popnet.explanation.importance import importance
    from popnet.explanation.run import Explanations, explain
    from popnet.model.load import load
    from popnet.model.model import Model
    from popnet.population.members import Member, Result
    from popnet.population.train import Population, train_population
    from popnet.spec.recipe import Recipe
    from popnet.tuning.search import Search, search

_HOME = {
    "Claims": "course.run",
    "Classifier": "estimators",
    "Diagnosis": "diagnosis.run",
    "Distilled": "distillation.record",
    "distil": "distillation.run",
    "doctor": "diagnosis.run",
    "effects": "explanation.effects",
    "Explanations": "explanation.run",
    "explain": "explanation.run",
    "importance": "explanation.importance",
    "load": "model.load",
    "Regressor": "estimators",
    "Model": "model.model",
    "Dataset": "data.dataset",
    "Features": "data.dataset",
    "ForkError": "errors",
    "InputError": "errors",
    "Member": "population.members",
    "ModelError": "errors",
    "Population": "population.train",
    "PopnetError": "errors",
    "Recipe": "spec.recipe",
    "RecipeError": "errors",
    "Result": "population.members",
    "Search": "tuning.search",
    "Study": "ablation.run",
    "claims": "course.run",
    "search": "tuning.search",
    "study": "ablation.run",
    "train_population": "population.train",
}

__all__ = [*_HOME, "__version__"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'popnet' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"popnet.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
