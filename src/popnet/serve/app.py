"""The routes of a server: what is asked for over HTTP, within limits, and what is answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar, cast

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from popnet._version import __version__
from popnet.errors import InputError
from popnet.runtime import strict_json
from popnet.serve import page, schema
from popnet.serve.batching import Batcher, Busy, Job
from popnet.serve.limits import MAX_NOTES, Bodies, Body, Limits, Problem, Refused
from popnet.serve.metrics import Metrics
from popnet.serve.reload import ServedModel
from popnet.serve.served import (
    CSV,
    JSON,
    NO_BACKGROUND,
    PARQUET,
    Asked,
    Explains,
    Predictions,
    Rows,
    Served,
)

T = TypeVar("T")

READERS = 2
"""Threads that read bodies and write answers; predicting has one of its own."""

RETRY_SECONDS = "1"
"""What a client that is refused for load is told to wait."""

UNREAD = (408, 413, 415, 503)
"""Statuses of refusals that come before a body is read; the connection is closed, or the rest would still be sent."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": page.POLICY,
}
"""Of every answer."""

PATHS = frozenset(
    {
        "/",
        "/predict",
        "/explain",
        "/schema",
        "/health",
        "/metrics",
        "/openapi.json",
        *(f"/{f}" for f in page.FILES),
    }
)
"""Paths that are counted by their name; all others are one, or each attempt would be a metric of its own."""


class Service:
    """What answers requests.

    Args:
        served: the model.
        metrics: count what happens.
        limits: of a request.
        explaining: explains answers; None: nothing is explained.
    """

    def __init__(
        self, served: ServedModel, metrics: Metrics, limits: Limits, explaining: Explains | None
    ) -> None:
        self.served, self.metrics, self.limits = served, metrics, limits
        self.explaining = explaining
        self.bodies = Bodies(limits.bodies * limits.bytes)
        self.batcher = Batcher(limits.waiting * limits.rows, metrics.passed)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="popnet reads")

    def close(self) -> None:
        """End all threads."""
        self.served.close()
        self.batcher.close()
        if self.explaining is not None:
            self.explaining.close()
        self._readers.shutdown(wait=False, cancel_futures=True)

    async def predict(
        self,
        request: Request,
        proba: Annotated[bool, Query(description="Also give the probability of each class.")] = False,
        interval: Annotated[float | None, Query(description="Also give intervals of this coverage.")] = None,
        quantile: Annotated[str | None, Query(description="Also give these quantiles, as 0.1,0.9.")] = None,
    ) -> Response:  # fmt: skip
        """Predict the rows of the body: JSON, CSV or Parquet; or images."""
        began, stage = time.monotonic(), _Stage()
        model = self.served.model
        asked = _asked(model, proba, interval, quantile)
        try:
            with self.bodies.one() as held:
                async with asyncio.timeout(self.limits.seconds):
                    read = await self._read(request, model, stage, held)
                    job = Job(model, read.features, asked)
                    stage.name, stage.job = "predicting", job
                    frame = await self._predicted(job)
                    answer = await self._aside(lambda: _answer(model, frame, read))
        except TimeoutError:
            raise _late(stage, self.limits) from None
        self.metrics.predicted(time.monotonic() - began, frame.height)
        return Response(answer, media_type=JSON)

    async def explain(
        self,
        request: Request,
        of_class: Annotated[str | None, Query(alias="class", description="Default: the predicted one.")] = None,
        target: Annotated[str | None, Query(description="The target explained, of several.")] = None,
        fixed: Annotated[str | None, Query(description="Columns that a change must leave, as age,sex.")] = None,
    ) -> Response:  # fmt: skip
        """Explain the answers for the rows of the body, as /predict takes them."""
        if self.explaining is None:
            raise Refused(404, NO_BACKGROUND)
        stage, model = _Stage(), self.served.model
        columns = tuple(name.strip() for name in (fixed or "").split(",") if name.strip())
        question = (of_class, target, columns)
        try:
            with self.bodies.one() as held:
                async with asyncio.timeout(self.limits.seconds):
                    read = await self._read(request, model, stage, held)
                    stage.name = "explaining"
                    found = await asyncio.wrap_future(
                        self.explaining.submit(model, read, *question)
                    )
        except TimeoutError:
            raise _late(stage, self.limits) from None
        said = {
            "target": list(model.description.targets),
            "ignored": list(read.ignored),
            "notes": list(read.notes[:MAX_NOTES]),
        }
        return _json(found | said)

    async def _predicted(self, job: Job) -> Predictions:
        try:
            self.batcher.submit(job)
        except Busy:
            raise Refused(
                503, "Too many rows wait to be predicted; try again in a moment."
            ) from None
        try:
            return await asyncio.wrap_future(job.answer)
        except InputError as error:
            raise Refused(422, str(error)) from None

    async def _read(self, request: Request, model: Served, stage: _Stage, held: Body) -> Rows:
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        _check_kind(kind, model)
        body = await read_body(request, self.limits, held)
        stage.name = "reading"
        if model.description.image is not None:
            files = [("image", body)]
            if kind == "multipart/form-data":
                files = await _files(request, body)
            return await self._aside(lambda: model.read_images(files, self.limits))
        return await self._aside(lambda: model.read(kind, body, self.limits))

    async def _aside(self, work: Callable[[], T]) -> T:
        """Do something beside the event loop, which goes on taking requests."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def schema(self) -> Response:
        """Say which columns the model reads, their kinds and levels, the target and its classes, and an example row."""
        model = self.served.model
        return _json(schema.describe(model.description))

    async def health(self) -> Response:
        """Say whether the server is well: ``degraded`` where a new model cannot be used and the old one goes on."""
        problem = self.served.problem
        found: dict[str, Any] = {
            "status": "ok" if problem is None else "degraded",
            "popnet": __version__,
            "target": list(self.served.model.description.targets),
            "model_sha256": self.served.model.description.digest,
            "models_loaded": self.served.loads,
            "rows_waiting": self.batcher.waiting,
        }
        return _json(found if problem is None else found | {"problem": problem})

    async def prometheus(self) -> Response:
        """Give counts of requests, rows, latencies and passes in Prometheus' text format."""
        healthy = self.served.problem is None
        text = self.metrics.text({"rows_waiting": self.batcher.waiting, "model_healthy": healthy})
        return Response(text, media_type="text/plain; version=0.0.4")

    async def form(self) -> Response:
        """Give a page on which a person fills in a row."""
        return Response(page.render(self.served.model.description), media_type="text/html")

    def openapi(self, app: FastAPI) -> dict[str, Any]:
        """Return OpenAPI's description with the columns of the model that is served now."""
        model = self.served.model
        names = ", ".join(model.description.targets)
        found = get_openapi(
            title=f"popnet: {names}", version=__version__, routes=app.routes,
            description=f"Predicts {names}.",
        )  # fmt: skip
        schema.describe_routes(found, model.description, model.kinds)
        return cast("dict[str, Any]", strict_json.finite(found))


class _Stage:
    """How far a request is: what it is refused with at its time limit depends on that."""

    name = "receiving"
    job: Job | None = None


def _late(stage: _Stage, limits: Limits) -> Refused:
    seconds = f"{limits.seconds:g} s"
    if stage.name == "receiving":
        return Refused(408, f"The body did not arrive within {seconds}.")
    if stage.name == "explaining":
        return Refused(504, f"The rows were not explained within {seconds}; send fewer at a time.")
    if stage.job is not None and stage.job.begun:
        return Refused(504, f"The rows were not predicted within {seconds}; send fewer at a time.")
    return Refused(
        503, f"The server is busy, and did not come to these rows within {seconds}; try again."
    )


def _asked(model: Served, proba: bool, interval: float | None, quantile: str | None) -> Asked:
    """Return what a request wants; refuse what the model does not have."""
    levels: list[float] = []
    for text in [] if quantile is None else quantile.split(","):
        try:
            levels.append(float(text))
        except ValueError:
            what = f"{text!r} is no number; write levels as 0.1,0.9"
            raise Refused(
                422, "A parameter cannot be used.", [Problem(None, "quantile", what)]
            ) from None
    asked = Asked(proba, interval, tuple(levels))
    try:
        model.check(asked)
    except InputError as error:
        raise Refused(422, str(error)) from None
    return asked


def _check_kind(kind: str, model: Served) -> None:
    if model.description.image is not None:
        if kind == "multipart/form-data" or kind.startswith("image/"):
            return
        wanted = (
            "an image (Content-Type: image/png, image/jpeg, ...) or files as multipart/form-data"
        )
    else:
        if kind in model.kinds:
            return
        *others, last = (k for k in (JSON, CSV, PARQUET[0]) if k in model.kinds)
        wanted = f"rows as {', '.join(others)} or {last}"
    shown = f"it is {kind[:80]!r}" if kind else "it is missing"
    raise Refused(
        415, f"Say what the body is in the header Content-Type ({shown}): the model takes {wanted}."
    )


async def read_body(request: Request, limits: Limits, held: Body) -> bytes:
    """Return the body of a request; refuse it as soon as it is too large, whatever its headers say, or all are."""
    if (coding := request.headers.get("content-encoding", "identity").lower()) not in (
        "",
        "identity",
    ):
        raise Refused(
            415,
            f"Compressed bodies are not taken (Content-Encoding: {coding[:40]}); send it as it is.",
        )
    large = Refused(
        413, f"The body has more than {limits.bytes:,} bytes; send fewer rows at a time."
    )
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > limits.bytes):
        raise large
    found = bytearray()
    async for chunk in request.stream():
        if len(found) + len(chunk) > limits.bytes:
            raise large
        held.take(len(chunk))
        found += chunk
    return bytes(found)


async def _files(request: Request, body: bytes) -> list[tuple[str, bytes]]:
    """Return names and contents of the files of a form."""

    async def stream() -> AsyncGenerator[bytes]:
        yield body

    try:
        form = await MultiPartParser(request.headers, stream()).parse()
    except (MultiPartException, ValueError, KeyError):
        raise Refused(400, "The body is no form of files (multipart/form-data).") from None
    found: list[tuple[str, bytes]] = []
    for _, value in form.multi_items():
        if isinstance(value, UploadFile):
            found.append((value.filename or "image", await value.read()))
    await form.close()
    if not found:
        raise Refused(422, "The form has no files; add an image.")
    return found


def _answer(model: Served, frame: Predictions, read: Rows) -> bytes:
    """Write predictions as JSON; a number that is not finite becomes null."""
    found: dict[str, Any] = {
        "predictions": frame.finite().to_dicts(),
        "rows": frame.height,
        "target": list(model.description.targets),
        "ignored": list(read.ignored),
        "notes": list(read.notes[:MAX_NOTES]),
    }
    return json.dumps(found, allow_nan=False).encode()


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(strict_json.dumps(content), status, headers, JSON)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    headers = {"Retry-After": RETRY_SECONDS} if error.status == 503 else {}
    if error.status in UNREAD:
        headers["Connection"] = "close"
    return _json(error.content(), error.status, headers)


async def _bad_parameter(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [Problem(None, str(e["loc"][-1]), str(e["msg"])) for e in error.errors()]
    return _json(Refused(422, "A parameter cannot be used.", problems).content(), 422)


async def _no_such(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = {404: "There is nothing at this path.", 405: "This path does not take this method."}
    content = {"error": said.get(error.status_code, str(error.detail))}
    return _json(content, error.status_code, dict(error.headers or {}))


async def _gone(request: Request, error: Exception) -> Response:
    return _json({"error": "The connection ended before the body did."}, 400)


async def _failed(request: Request, error: Exception) -> Response:
    return _json({"error": "The server failed on this request; its log says why."}, 500)


class Outermost:
    """Counts answers and adds the headers that all have.

    Args:
        app: that answers.
        metrics: that count.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in PATHS else "other"

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.request(path, message["status"])
                headers = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *headers]}
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:  # answered further out
            self._metrics.request(path, 500)
            raise


def make_app(
    served: ServedModel,
    metrics: Metrics | None = None,
    limits: Limits | None = None,
    explaining: Explains | None = None,
) -> FastAPI:
    """Return the server as ASGI has it; when it is shut down, its threads end."""
    metrics, limits = metrics or Metrics(), limits or Limits()
    service = Service(served, metrics, limits, explaining)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await asyncio.to_thread(service.close)

    # FastAPI's own /docs loads scripts from elsewhere.
    app = FastAPI(
        lifespan=life, docs_url=None, redoc_url=None, openapi_url="/openapi.json",
        exception_handlers={
            Refused: _refused, RequestValidationError: _bad_parameter, HTTPException: _no_such,
            ClientDisconnect: _gone, Exception: _failed,
        },
    )  # fmt: skip
    app.add_api_route("/predict", service.predict, methods=["POST"])
    app.add_api_route(
        "/explain", service.explain, methods=["POST"], include_in_schema=explaining is not None
    )
    app.add_api_route("/schema", service.schema, methods=["GET"])
    app.add_api_route("/health", service.health, methods=["GET"])
    app.add_api_route("/metrics", service.prometheus, methods=["GET"])
    app.add_api_route("/", service.form, methods=["GET"], include_in_schema=False)
    for name, kind in page.FILES.items():
        app.add_api_route(f"/{name}", _file(name, kind), methods=["GET"], include_in_schema=False)
    app.openapi = lambda: service.openapi(app)
    app.add_middleware(Outermost, metrics=metrics)
    app.state.service = service
    return app


def _file(name: str, kind: str) -> Callable[[], Response]:
    def give() -> Response:
        return Response(page.file(name), media_type=kind)

    return give
