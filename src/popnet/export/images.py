"""Images on their way into nets, and the nets of images, as a graph; see `popnet.nn.convnet`.

Each net goes through by itself. The views that a prediction is the mean of are the same for all images, so where each
pixel of a view is taken from is worked out beforehand: a view is four looks into the image and a mean of them. All
views of an image go through a net as images of their own.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from popnet.augment import geometry
from popnet.data.images.format import ImageFormat
from popnet.export import block, nets
from popnet.export.graph import Graph, f32, i64
from popnet.nn.convnet import plan
from popnet.population.augmented import view_matrices
from popnet.population.predict import Net
from popnet.spec.recipe import choices
from popnet.spec.shape import Numbers

NAME = "image"
"""Of the graph's input, ``(N, H, W, C)`` uint8."""


class Looks(NamedTuple):
    """Where the pixels of views are taken from, of P pixels of all views.

    Attributes:
        places: ``(4, P)`` int64, of the upper left, upper right, lower left and lower right neighbour in the image's
            H W pixels; H W is the background.
        down, right: ``(P, 1)`` float32, the share of a pixel below and to the right of the first.
    """

    places: np.ndarray
    down: np.ndarray
    right: np.ndarray


class Pictures:
    """A graph's images; what nets have in common is made once.

    Args:
        graph: that they are added to, as an input.
        form: of the images.
        views: of each image.
    """

    def __init__(self, graph: Graph, form: ImageFormat, views: int) -> None:
        self.graph, self.form, self.views = graph, form, views
        graph.add_input(NAME, np.uint8, form.size)
        self._made: dict[bytes, str] = {}
        self._flat = ""

    def standardised(self, net: Net) -> str:
        """Return all views of all images as a net takes them, ``(N V, H, W, C)`` float32."""
        looks = _looks(self.form, Numbers.of(net.recipe), self.views) if self.views > 1 else None
        key = b"" if looks is None else b"".join(a.tobytes() for a in looks)
        if key not in self._made:
            g, form = self.graph, self.form
            images = g.cast(NAME, np.float32) if looks is None else self._seen(looks)
            std = f32(1) / f32(form.std)
            self._made[key] = g.op("Mul", g.op("Sub", images, f32(form.mean)), std)
        return self._made[key]

    def _seen(self, looks: Looks) -> str:
        """Return the views, float32, in units of the pixels."""
        g, (height, width, channels) = self.graph, self.form.size
        if not self._flat:
            flat = g.op("Reshape", NAME, i64([0, height * width, channels]))
            rounded = np.clip(np.round(self.form.background), 0, 255).astype(np.uint8)
            one = g.op("Slice", flat, i64([0]), i64([1]), i64([1]))
            border = g.op("Add", g.op("Mul", g.cast(one, np.float32), f32(0)), f32(rounded))
            self._flat = g.concat([g.cast(flat, np.float32), border], 1)
        a, b, c, d = (g.gather(self._flat, places, 1) for places in looks.places)
        upper, lower = (
            g.op("Add", one, g.op("Mul", f32(looks.right), g.op("Sub", other, one)))
            for one, other in ((a, b), (c, d))
        )
        seen = g.op("Add", upper, g.op("Mul", f32(looks.down), g.op("Sub", lower, upper)))
        return g.op("Reshape", seen, i64([-1, height, width, channels]))


def _looks(form: ImageFormat, numbers: Numbers, views: int) -> Looks:
    """Return where the pixels of an image and of its views are; see `popnet.population.augmented.view`."""
    height, width, _ = form.size
    y, x = np.mgrid[:height, :width].reshape(2, -1).astype(np.float32)
    n = Numbers(*(jnp.asarray(v) for v in numbers))
    places: list[np.ndarray] = []
    shares: list[np.ndarray] = []
    for number in range(views):
        at = y, x
        if number == 1 and numbers.reflection > 0:
            at = y, width - 1 - x
        elif number:
            matrices = view_matrices(n, jnp.int32(number), height, width)
            found = geometry.coordinates(matrices, height, width)[0].reshape(2, -1)
            at = np.asarray(found[0]), np.asarray(found[1])
        fill = choices("fill")[int(numbers.fill)]
        place, down, right = _neighbours(*at, height, width, fill)
        places.append(place)
        shares.append(np.stack([down, right]))
    down, right = np.concatenate(shares, 1)[..., None]
    return Looks(np.concatenate(places, 1), down, right)


def _neighbours(
    y: np.ndarray, x: np.ndarray, height: int, width: int, fill: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the places ``(4, P)`` of each position's neighbours, and its shares of a pixel below and to the right."""
    if fill == "reflect":
        y, x = (
            np.asarray(geometry.mirrored_positions(jnp.asarray(v), side))
            for v, side in ((y, height), (x, width))
        )
    place, down, right = map(
        np.asarray, geometry.cells(jnp.asarray(y), jnp.asarray(x), height, width, width + 2)
    )
    row, column = np.divmod(place, width + 2)  # of an image with a frame of one pixel around it
    rows = np.stack([row, row, row + 1, row + 1]) - 1
    columns = np.stack([column, column + 1, column, column + 1]) - 1
    inside = np.clip(rows, 0, height - 1) * width + np.clip(columns, 0, width - 1)
    if fill == "constant":
        out = (rows < 0) | (rows >= height) | (columns < 0) | (columns >= width)
        inside = np.where(out, height * width, inside)
    return inside.astype(np.int64), down, right


def outputs(pictures: Pictures, net: Net) -> str:
    """Return the outputs ``(1, N, O)`` of a net, float64: the mean over views of probabilities, or of numbers."""
    g, shape = pictures.graph, net.shape
    x = pictures.standardised(net)
    if shape.kind == "mlp":
        size = shape.n_numeric
        flat = g.op("Reshape", x, i64([-1, size]))
        found = nets.dense(g, [net], [(flat, np.arange(size))])
    else:
        found = g.cast(_convolved(g, net, x), np.float64)
        if shape.task == "classification":
            found = g.op("Softmax", found, axis=-1)
    found = g.op("Reshape", found, i64([1, -1, pictures.views, shape.n_outputs]))
    return g.op("ReduceMean", found, i64([2]), keepdims=0)


def _convolved(g: Graph, net: Net, x: str) -> str:
    """Return the outputs ``(N, O)`` of a convolutional net for ``(N, H, W, C)``; inside channels are second."""
    h = shortcut = _patches(g, net, x)
    for number, layer in enumerate(plan(net.shape)):
        own = block.Layer.of([net], "layers", number, axis=1)
        if layer.begins:
            shortcut = h
        w = np.asarray(own.parameters[0]["w"], np.float64)
        w = w.reshape(3, 3, layer.channels_in, -1).transpose(3, 2, 0, 1)
        factor, shift = block.before(own)
        if layer.pools != "before":  # the factor may be negative, and the largest then the least
            w = w * factor.reshape(-1, 1, 1, 1)
        z = g.op("Conv", h, f32(w), pads=[1, 1, 1, 1])
        if layer.pools == "before":
            z = g.op("Mul", _max_pool(g, z), f32(factor))
        h = block.after(g, own, g.op("Add", z, f32(shift)))
        if layer.ends:
            h = g.op("Add", h, shortcut)
        if layer.pools == "after":
            h = _max_pool(g, h)
    mean = g.op("ReduceMean", h, i64([2, 3]), keepdims=0)
    output = net.parameters["output"]
    return g.op("Add", g.op("MatMul", mean, f32(output["w"])), f32(output["b"]))


def _patches(g: Graph, net: Net, x: str) -> str:
    """Return squares of pixels as channels, ``(N, side side C, H / side, W / side)``; edges beyond are left out."""
    assert net.shape.image is not None
    side, (height, width, channels) = net.shape.patch, net.shape.image
    rows, columns = height // side, width // side
    x = g.op("Slice", x, i64([0, 0]), i64([rows * side, columns * side]), i64([1, 2]))
    x = g.op("Reshape", x, i64([-1, rows, side, columns, side, channels]))
    x = g.op("Transpose", x, perm=[0, 2, 4, 5, 1, 3])
    return g.op("Reshape", x, i64([-1, side * side * channels, rows, columns]))


def _max_pool(g: Graph, x: str) -> str:
    return g.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
