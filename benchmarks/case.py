"""One measurement: what is trained, on which data, and what came of it; imports only NumPy."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

CLASSES = 4
DEPTH = 3
BATCH_SIZE = 256
DROPOUT = 0.1
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.01
BETAS = (0.9, 0.99)
EPSILON = 1e-8


@dataclass(frozen=True)
class Case:
    """What one child process measures.

    Attributes:
        system: name of the system, see ``benchmarks/child.py``.
        width: units of each hidden layer.
        members: nets to train.
        epochs: of each net; nobody stops earlier, the bookkeeping of early stopping runs all the
            same.
        rows: training rows; a fifth as many validation rows come on top.
        features: inputs.
        first_seed: nets have the seeds ``first_seed ... first_seed + members - 1``.
        cores: threads or processes to use.
        warm_up: whether a peer trains one untimed epoch first (lazy initialisation,
            ``torch.compile``).
    """

    system: str
    width: int
    members: int
    epochs: int
    rows: int = 25_600
    features: int = 32
    first_seed: int = 0
    cores: int = 1
    warm_up: bool = True

    @property
    def valid_rows(self) -> int:
        """Validation rows."""
        return self.rows // 5

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return -(-self.rows // BATCH_SIZE)

    @property
    def seeds(self) -> range:
        """Seeds of the nets."""
        return range(self.first_seed, self.first_seed + self.members)

    @property
    def flops(self) -> float:
        """Floating-point operations of the matrix products of one net's whole training.

        For each row and each weight: 2 in the forward pass, 2 for the weights' gradient and, but
        for the first layer, 2 for the inputs' gradient; 2 for each validation row of each epoch.
        Everything else counts nothing.
        """
        sizes = [self.features, *[self.width] * DEPTH, CLASSES]
        products = [a * b for a, b in pairwise(sizes)]
        training = self.rows * (2 * sum(products) + 2 * sum(products) + 2 * sum(products[1:]))
        return float(self.epochs * (training + self.valid_rows * 2 * sum(products)))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, for JSON."""
        return asdict(self)


@dataclass
class Measurement:
    """What a child process found.

    Attributes:
        case: what was measured.
        seconds: wall time of the training, compilation included, imports and data apart.
        compile_seconds: part of it in which programs were compiled.
        accuracies: validation accuracy of each net at its best epoch.
        memory_mb: peak resident memory, start-up and imports included; summed over the system's
            processes.
        process_seconds: wall time of the whole process, imports included; set by the parent.
        threads: of each process, inside an operation.
    """

    case: Case
    seconds: float
    compile_seconds: float
    accuracies: list[float] = field(default_factory=list)
    memory_mb: float = 0.0
    process_seconds: float = 0.0
    threads: int = 1

    @property
    def run_seconds(self) -> float:
        """Wall time without compilation."""
        return self.seconds - self.compile_seconds

    def per_member(self, with_compile: bool = False) -> float:
        """Return seconds for each net."""
        return (self.seconds if with_compile else self.run_seconds) / self.case.members

    @property
    def ms_per_epoch(self) -> float:
        """Milliseconds of one epoch of one net, compilation apart."""
        return 1e3 * self.per_member() / self.case.epochs

    @property
    def gflops(self) -> float:
        """Billions of matrix-product operations per second, compilation apart."""
        return self.case.flops * self.case.members / self.run_seconds / 1e9

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Measurement:
        """Make a measurement of the object that `to_dict` returned."""
        return cls(**{**values, "case": Case(**values["case"])})

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, for JSON."""
        return asdict(self)


class Data(NamedTuple):
    """Rows: ``X`` ``(N, F)`` float32 and ``y`` ``(N,)`` int64, for training and validation."""

    X: np.ndarray
    y: np.ndarray
    X_valid: np.ndarray
    y_valid: np.ndarray


def make_data(case: Case, seed: int = 0) -> Data:
    """Draw a problem of four classes that a small net can learn, but not without error.

    A random net with one hidden layer of 16 tanh units gives the classes' log-odds, and the class
    is drawn from
    them: the best possible accuracy is about 0.85.
    """
    rng = np.random.default_rng(seed)
    first = rng.standard_normal((case.features, 16)) / np.sqrt(case.features)
    second = 3.0 * rng.standard_normal((16, CLASSES))
    X = rng.standard_normal((case.rows + case.valid_rows, case.features)).astype(np.float32)
    y = np.argmax(np.tanh(X @ first) @ second + rng.gumbel(size=(len(X), CLASSES)), axis=1)
    n = case.rows
    return Data(X[:n], y[:n], X[n:], y[n:])
