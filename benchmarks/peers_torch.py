"""PyTorch as a careful user writes it: the same net, recipe and bookkeeping as popnet's.

Data are tensors in memory, shuffled by one gather an epoch and cut into views; AdamW is the fused
one; the loss is read once an epoch.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from benchmarks.case import (
    BATCH_SIZE,
    BETAS,
    CLASSES,
    DEPTH,
    DROPOUT,
    EPSILON,
    LEARNING_RATE,
    WEIGHT_DECAY,
    Case,
    Data,
)


class Tensors(NamedTuple):
    """`Data` as tensors."""

    X: torch.Tensor
    y: torch.Tensor
    X_valid: torch.Tensor
    y_valid: torch.Tensor


def tensors(data: Data) -> Tensors:
    """Wrap arrays as tensors, without a copy."""
    return Tensors(*map(torch.from_numpy, data))


def make_net(case: Case) -> nn.Sequential:
    """Return (linear, batch norm, ReLU, dropout) x 3 and a linear output, with He's weights."""
    layers: list[nn.Module] = []
    size = case.features
    for _ in range(DEPTH):
        layers += [
            nn.Linear(size, case.width),
            nn.BatchNorm1d(case.width),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
        ]
        size = case.width
    layers.append(nn.Linear(size, CLASSES))
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def make_optimizer(net: nn.Module) -> torch.optim.AdamW:
    """Return fused AdamW that decays the layers' weights only."""
    decayed = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim == 1]
    groups = [
        {"params": decayed, "weight_decay": WEIGHT_DECAY},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=BETAS, eps=EPSILON, fused=True)


def train(case: Case, data: Tensors, seed: int, compiled: bool = False) -> float:
    """Train one net, keep its best epoch's weights, return that epoch's validation accuracy."""
    torch.manual_seed(seed)
    net = make_net(case)
    forward = torch.compile(net) if compiled else net
    optimizer = make_optimizer(net)
    loss_of = nn.CrossEntropyLoss()
    total_steps = case.steps * case.epochs
    best_loss, accuracy, waited, best_weights = math.inf, 0.0, 0, net.state_dict()
    for epoch in range(case.epochs):
        net.train()
        order = torch.randperm(case.rows)
        batches = zip(data.X[order].split(BATCH_SIZE), data.y[order].split(BATCH_SIZE), strict=True)
        mean_loss = torch.zeros(())
        for i, (x, y) in enumerate(batches):
            progress = (epoch * case.steps + i) / total_steps
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * progress))
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(forward(x), y)
            loss.backward()
            optimizer.step()
            mean_loss += loss.detach() / case.steps
        loss_valid, accuracy_valid = evaluate(forward, net, data)
        if not math.isfinite(mean_loss.item()):
            break
        if loss_valid < best_loss:
            best_loss, accuracy, waited = loss_valid, accuracy_valid, 0
            best_weights = copy.deepcopy(net.state_dict())
        else:
            waited += 1
            if waited >= case.epochs:  # the same patience as popnet's recipe: nobody stops early
                break
    net.load_state_dict(best_weights)
    return accuracy


def evaluate(
    forward: Callable[[torch.Tensor], torch.Tensor], net: nn.Module, data: Tensors
) -> tuple[float, float]:
    """Return validation loss and accuracy; ``forward`` is the net or its compiled form."""
    net.eval()
    with torch.no_grad():
        outputs = forward(data.X_valid)
        loss = nn.functional.cross_entropy(outputs, data.y_valid)
        accuracy = (outputs.argmax(1) == data.y_valid).float().mean()
    return float(loss), float(accuracy)


def use_threads(n: int) -> None:
    """Use n threads inside an operation."""
    torch.set_num_threads(n)
