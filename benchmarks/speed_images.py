"""How fast nets of images train, against PyTorch: ``python -m benchmarks.speed --images``.

The same net on both sides: a residual net of three stages (convolution, batch norm, ReLU; a pair with a shortcut; max
pooling between stages), batches of 64 grey images of 28 x 28 pixels, AdamW. Measured are one training step, and one
epoch in which each image is shifted, turned and scaled by parameters of its own: by popnet inside of its program, by
PyTorch for a batch at once (``affine_grid`` and ``grid_sample``), the fastest way there. PyTorch is used three ways:
one net on all cores, one net compiled, and a net a core in processes of one thread each. Each way runs in fresh
processes; popnet trains a net a core. Times are a net's, with all cores busy: the machine's seconds divided by nets.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table import cores

ROOT = Path(__file__).resolve().parent.parent
BATCH, SIDE, CLASSES, STAGES = 64, 28, 10, 3
SYSTEMS = ("popnet", "torch", "torch-compile", "torch-processes")


def data(images: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images that hold nothing, and labels."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, SIDE, SIDE, 1), dtype=np.uint8)
    return pixels, rng.integers(0, CLASSES, images).astype(np.int32)


def popnet(width: int, images: int, repeats: int) -> dict[str, Any]:
    """Train a net a core for an epoch, without and with augmentation; the first time compiles."""
    from popnet import Dataset, Recipe, train_population
    from popnet.data.dataset import Images

    pixels, labels = data(images + BATCH)
    dataset = Dataset(Images.measured(pixels), labels, "classification", CLASSES)
    plain = Recipe(
        kind="residual", depth=2, width=width, stages=STAGES, batch_size=BATCH, epochs=1, dropout=0.0
    )  # fmt: skip
    changed = plain.replace(translation=0.08, rotation=10, scaling=0.1)
    folds = [(np.arange(images), np.arange(images, images + BATCH))]
    found: dict[str, Any] = {"step": [], "epoch": []}
    for turn in range(repeats + 1):
        for name, recipe in (("step", plain), ("epoch", changed)):
            population = train_population(
                dataset, recipes=[recipe], seeds=range(cores()), folds=folds
            )
            seconds = max(r.seconds for r in population) / cores()
            if turn == 0:
                found["compile"] = max(found.get("compile", 0.0), population.compile_seconds)
            else:
                found[name].append(seconds / (images / BATCH) if name == "step" else seconds)
    return found


def torch_net(width: int) -> Any:
    """Return the same net as a module, weights in the layout that PyTorch's convolutions are fastest with."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, a: int, b: int) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layers(x)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            sizes = [1, *(width * 2**s for s in range(STAGES))]
            self.first = nn.ModuleList(Block(a, b) for a, b in itertools.pairwise(sizes))
            self.pairs = nn.ModuleList(nn.Sequential(Block(b, b), Block(b, b)) for b in sizes[1:])
            self.output = nn.Linear(sizes[-1], CLASSES)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for i, (first, pair) in enumerate(zip(self.first, self.pairs, strict=True)):
                h = first(x)
                x = h + pair(h)
                if i < STAGES - 1:
                    x = nn.functional.max_pool2d(x, 2)
            return self.output(x.mean((2, 3)))

    return Net().to(memory_format=torch.channels_last)


def torch_(width: int, images: int, repeats: int, threads: int, compiled: bool) -> dict[str, Any]:
    """Train one net for an epoch, without and with augmentation."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(threads)
    pixels, labels = (torch.from_numpy(a) for a in data(images))
    pixels, labels = pixels.permute(0, 3, 1, 2), labels.long()
    net = torch_net(width)
    forward = torch.compile(net) if compiled else net
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, fused=True)

    def moved(x: torch.Tensor) -> torch.Tensor:
        n = len(x)
        angle = (torch.rand(n) * 2 - 1) * (10 * np.pi / 180)
        scale = torch.exp((torch.rand(n) * 2 - 1) * np.log(1.1))
        shift = (torch.rand(n, 2) * 2 - 1) * 0.16
        cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
        rows = [torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)]
        grid = functional.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
        return functional.grid_sample(x, grid, align_corners=False)

    def epoch(augment: bool) -> float:
        began = time.perf_counter()
        net.train()
        order = torch.randperm(images)
        for batch in order.split(BATCH):
            x = pixels[batch].float()
            x = (moved(x) if augment else x) / 128 - 1
            optimizer.zero_grad(set_to_none=True)
            functional.cross_entropy(forward(x), labels[batch]).backward()
            optimizer.step()
        return time.perf_counter() - began

    began = time.perf_counter()
    epoch(False)
    first = time.perf_counter() - began
    plain = [epoch(False) for _ in range(repeats)]
    found = {
        "step": [s / (images / BATCH) for s in plain],
        "epoch": [epoch(True) for _ in range(repeats)],
    }
    return {**found, "compile": max(0.0, first - statistics.median(plain))}


def measure(system: str, width: int, options: argparse.Namespace) -> dict[str, Any]:
    """Measure a system in a fresh process, or one a core at the same time."""
    many = cores() if system == "torch-processes" else 1
    command = [
        sys.executable, "-m", "benchmarks.speed_images", "--child", system, "--width", str(width),
        "--images", str(options.images), "--repeats", str(options.repeats),
    ]  # fmt: skip
    env = {**os.environ, "JAX_PLATFORMS": "cpu"}
    started = [
        subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
        for _ in range(many)
    ]
    outputs = [process.communicate()[0] for process in started]
    parts = [json.loads(out.splitlines()[-1]) for out in outputs]
    return {
        "step": [t / many for p in parts for t in p["step"]],
        "epoch": [t / many for p in parts for t in p["epoch"]],
        "compile": max(p["compile"] for p in parts),
    }


def child(options: argparse.Namespace) -> dict[str, Any]:
    """Measure in this process."""
    arguments = options.width, options.images, options.repeats
    if options.child == "popnet":
        return popnet(*arguments)
    threads = 1 if options.child == "torch-processes" else cores()
    return torch_(*arguments, threads, options.child == "torch-compile")


def compare(options: argparse.Namespace) -> str:
    """Measure all systems and return a Markdown table."""
    lines = [
        f"Residual net, {SIDE} x {SIDE} grey, batches of {BATCH}, {options.images:,} images an epoch; "
        f"milliseconds a step and seconds an epoch with augmentation, a net's share of {cores()} cores, "
        f"median (least to greatest) of {options.repeats}.",
        "",
        "| width | system | step, ms | epoch with augmentation, s | popnet is faster by | compiling, s |",
        "|---|---|---|---|---|---|",
    ]
    for width in options.widths:
        found = {system: measure(system, width, options) for system in SYSTEMS}
        for system, f in found.items():
            step = [1000 * t for t in f["step"]]
            ratio = statistics.median(f["epoch"]) / statistics.median(found["popnet"]["epoch"])
            lines.append(
                f"| {width} | {system} | {statistics.median(step):.1f} ({min(step):.1f} to {max(step):.1f}) "
                f"| {statistics.median(f['epoch']):.2f} ({min(f['epoch']):.2f} to {max(f['epoch']):.2f}) "
                f"| {ratio:.1f} | {f['compile']:.1f} |"
            )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 32])
    parser.add_argument("--images", type=int, default=2048, help="of an epoch")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--width", type=int, default=16, help=argparse.SUPPRESS)
    parser.add_argument("--child", choices=SYSTEMS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    print(json.dumps(child(options)) if options.child else compare(options))


if __name__ == "__main__":
    main()
