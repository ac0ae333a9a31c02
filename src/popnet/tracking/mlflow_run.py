"""Fits as runs of MLflow: parameters, metrics, the report, and the model as a pyfunc that loads without pickle."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import time
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from itertools import islice
from typing import Any

from popnet._version import __version__
from popnet.errors import InputError
from popnet.model.folder import REPORT
from popnet.model.model import Model
from popnet.tracking.record import FitLog
from popnet.tracking.tracker import need, short

LOADER = "popnet.tracking.pyfunc"
"""What MLflow loads a logged model by."""

BATCH = 1000
"""Metrics of one request: MLflow's limit."""

PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""Settings of MLflow's, where the user has set none: by default it tries a server that is gone for minutes."""


@dataclass(frozen=True)
class MLflow:
    """A tracking server, a database, or what MLflow finds in its own settings.

    Attributes:
        uri: of the server or database; None for ``MLFLOW_TRACKING_URI`` or MLflow's default.
    """

    uri: str | None = None

    @property
    def asked(self) -> str:
        """As the user writes it."""
        return "mlflow" if self.uri is None else f"mlflow:{self.uri}"

    def check(self) -> None:
        """See `popnet.tracking.tracker.Tracker.check`."""
        need(self.asked, "mlflow", "pandas")
        try:
            with _quietly() as mlflow:
                mlflow.MlflowClient(tracking_uri=self.uri).search_experiments(max_results=1)
        except Exception as error:  # of the library, of its database, of the network
            if "MLFLOW_ALLOW_FILE_STORE" in str(error):
                raise InputError(
                    f"--track {self.asked}: this version of MLflow does not write to plain folders; give a database, "
                    "as mlflow:sqlite:///mlflow.db."
                ) from None
            raise InputError(f"--track {self.asked} cannot be reached: {short(error)}") from None

    def log(self, record: FitLog) -> str:
        """See `popnet.tracking.tracker.Tracker.log`. A run that is active already becomes the parent of this one."""
        with _quietly() as mlflow:
            before = mlflow.get_tracking_uri()
            if self.uri is not None:
                mlflow.set_tracking_uri(self.uri)
            try:
                nested = mlflow.active_run() is not None
                with mlflow.start_run(run_name=record.name, nested=nested) as run:
                    self._fill(mlflow, run.info.run_id, record)
                return f"run {run.info.run_id} at {mlflow.get_tracking_uri()}"
            finally:
                if self.uri is not None:
                    mlflow.set_tracking_uri(before)

    def _fill(self, mlflow: Any, run_id: str, record: FitLog) -> None:
        mlflow.log_params(dict(record.options))
        entities: Any = importlib.import_module("mlflow.entities")
        now = int(1000 * time.time())
        client, rows = mlflow.MlflowClient(), _metrics(record)
        while part := list(islice(rows, BATCH)):
            client.log_batch(run_id, metrics=[entities.Metric(n, v, now, s) for n, v, s in part])
        report = record.folder / REPORT
        if report.is_file():
            mlflow.log_artifact(str(report))
        # From here on the run has all but the model.
        mlflow.pyfunc.log_model(
            name="model",
            loader_module=LOADER,
            data_path=str(record.folder),
            pip_requirements=[f"popnet=={__version__}"],
            signature=_signature(Model.load(record.folder)),
        )


def _metrics(record: FitLog) -> Iterator[tuple[str, float, int]]:
    """Yield names, values and steps: scores at step 0, curves by epoch."""
    for name, value in record.scores.items():
        yield name, value, 0
    for curve in record.curves:
        for epoch, value in enumerate(curve.values, 1):
            if value is not None:
                yield curve.name, value, epoch


def _signature(model: Model) -> Any:
    """Return the columns that a model reads, each of any type as popnet reads it; None for images."""
    if model.encoder.image is not None:
        return None
    models: Any = importlib.import_module("mlflow.models")
    types: Any = importlib.import_module("mlflow.types.schema")
    columns = [
        types.ColSpec(types.AnyType(), name=c.name, required=False) for c in model.encoder.columns
    ]
    target = "string" if model.is_classifier else "double"
    params = [
        types.ParamSpec("proba", "boolean", False),
        types.ParamSpec("interval", "double", 0.0),
    ]
    return models.ModelSignature(
        inputs=types.Schema(columns),
        outputs=types.Schema([types.ColSpec(target, name=n) for n in model.encoder.target.names]),
        params=types.ParamSchema(params),
    )


@contextmanager
def _quietly() -> Generator[Any]:
    """Give MLflow's module; its messages are not popnet's, and stdout is for results."""
    if "mlflow" not in sys.modules:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    ours = {name: value for name, value in PATIENCE.items() if name not in os.environ}
    os.environ.update(ours)
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    try:
        with redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mlflow = importlib.import_module("mlflow")
            importlib.import_module("mlflow.pyfunc")
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield mlflow
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name in ours:
            del os.environ[name]
