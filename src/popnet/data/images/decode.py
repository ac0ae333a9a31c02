"""One image file of any kind into pixels; what cannot be read gets a short reason."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import (  # the plugins register themselves in Image.OPEN
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageChops,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from popnet.data.images.pictures import Fit, Size
from popnet.data.images.resize import fit_image
from popnet.data.images.values import Extent, to_bytes

_PLUGINS = (
    PngImagePlugin,
    JpegImagePlugin,
    WebPImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    TiffImagePlugin,
)
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
MAX_PIXELS = 100_000_000
"""A header that promises more is a decompression bomb, or a map to be cut into tiles first."""
GREY_TOLERANCE = 4
"""Channels that differ by at most this are equal: JPEG rounds."""

_WIDTH, _HEIGHT, _ORIENTATION = 0x0100, 0x0101, 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each value of EXIF's orientation; from 5 on, height and width change places."""
_GREY_MODES = {"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"}


class UnreadableImage(Exception):  # noqa: N818 (a finding, not an error of the program)
    """A file cannot be read; the text is the short reason."""


class Header(NamedTuple):
    """What a file says of itself before its pixels are read.

    Attributes:
        size: height and width as it is to be seen.
        grey: it has one channel; otherwise the pixels must tell.
        deep: its values are of more than 8 bits.
    """

    size: Size
    grey: bool
    deep: bool


@contextmanager
def quiet() -> Generator[None]:
    """Keep Pillow's warnings (of bombs, of odd metadata) from the user while images are read."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def read_header(path: Path) -> Header:
    """Read height, width and kind of an image file without its pixels.

    Raises:
        UnreadableImage: no such file, empty, not an image, damaged, or of more than `MAX_PIXELS`.
    """
    with _opened(path) as image:
        return Header(_size(image), image.mode in _GREY_MODES, _is_deep(image))


def pixel_count(path: Path) -> int:
    """Return how many pixels an image file says it has; 0 if it cannot be read, which is said when it is decoded."""
    try:
        with quiet(), _opened(path) as image:
            width, height = image.size
            return width * height
    except UnreadableImage:
        return 0


def read_extent(path: Path) -> Extent:
    """Return the extent of the values of an image file.

    Raises:
        UnreadableImage: as `decode`, or a value is not a finite number.
    """
    with _opened(path) as image:
        image.load()
        return Extent.of(_finite(np.asarray(image)))


def decode(
    path: Path, size: Size, fit: Fit, channels: int, file_range: tuple[float, float] | None = None
) -> tuple[np.ndarray, Size]:
    """Read an image file.

    Args:
        path: a PNG, JPEG, WebP, BMP, GIF (first frame) or TIFF, by its content.
        size: height and width to give.
        fit: how another shape becomes this size.
        channels: 1 (grey) or 3 (red, green, blue).
        file_range: what is black and white in a file of more than 8 bits; None: by its type.

    Returns:
        Pixels ``(H, W, C)`` uint8, upright (EXIF) and over white where transparent; height and
        width of the file.

    Raises:
        UnreadableImage: as `read_header`, or the pixels are damaged or cut short.
    """
    with _opened(path) as image:
        whole = _size(image)
        # A JPEG can be decoded at 1/2, 1/4 or 1/8; twice the size is left for the averaging.
        image.draft(None, (2 * max(size), 2 * max(size)))
        plain = _upright(image, file_range).convert("L" if channels == 1 else "RGB")
        fitted = fit_image(plain, size, fit)
        return np.asarray(fitted, np.uint8).reshape(*size, channels), whole


def is_coloured(path: Path) -> bool:
    """Whether the channels of an image file differ; False for a broken one."""
    try:
        with _opened(path) as image:
            image.draft(None, (64, 64))
            plain = _upright(image)
            if plain.mode == "L":
                return False
            red, green, blue = plain.split()
            pairs = ((red, green), (green, blue), (red, blue))
            ranges: list[Any] = [ImageChops.difference(a, b).getextrema() for a, b in pairs]
            return max(most for _, most in ranges) > GREY_TOLERANCE
    except UnreadableImage:
        return False


@contextmanager
def _opened(path: Path) -> Generator[Image.Image]:
    """Open an image; whatever goes wrong until the block ends is a `UnreadableImage`."""
    try:
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise UnreadableImage("no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name cannot be used"
        raise UnreadableImage(f"cannot be opened: {reason}") from None
    with file:
        try:
            yield _identify(file)
        except UnreadableImage:
            raise
        except MemoryError:
            raise UnreadableImage("needs more memory than there is") from None
        # Plugins raise all kinds: OSError, SyntaxError, ValueError, struct.error, KeyError, ...
        except Exception as error:
            short = isinstance(error, EOFError) or "truncated" in str(error).lower()
            raise UnreadableImage(
                "cut short" if short else "damaged or of an unknown kind"
            ) from None


def _identify(file: BinaryIO) -> Image.Image:
    """Find the format by the first bytes and read the header.

    Not ``Image.open``: it raises for a bomb before its size is known, and warns.
    """
    prefix = file.read(16)
    if not prefix:
        raise UnreadableImage("empty file")
    for name in FORMATS:
        factory, accept = Image.OPEN[name]
        if accept is None or accept(prefix) is not True:
            continue
        file.seek(0)
        image = factory(file, "")
        width, height = image.size
        if width * height > MAX_PIXELS:
            most = MAX_PIXELS // 1_000_000
            raise UnreadableImage(f"{width:,} x {height:,} pixels, more than {most} million")
        if width < 1 or height < 1:
            raise UnreadableImage("no pixels")
        return image
    raise UnreadableImage("not an image")


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged metadata beside sound pixels
        return 1
    return value if isinstance(value, int) and value in _TURNS else 1


def _size(image: Image.Image) -> Size:
    """Return height and width of an image that is not decoded yet, as it is to be seen."""
    width, height = image.size
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # Pillow turns a TIFF when it decodes it; from version 11 on, the size is so before.
        tags = image.tag_v2
        due = (tags.get(_WIDTH), tags.get(_HEIGHT)) == image.size
    else:
        due = "exif" in image.info  # Pillow would decode a whole PNG in search of it
    return (width, height) if due and _orientation(image) >= 5 else (height, width)


def _upright(image: Image.Image, file_range: tuple[float, float] | None = None) -> Image.Image:
    """Decode; return it upright and in mode L or RGB."""
    image.load()
    plain = _plain(image, file_range)
    orientation = _orientation(image)
    return plain.transpose(_TURNS[orientation]) if orientation > 1 else plain


def _is_deep(image: Image.Image) -> bool:
    """Whether the values are of more than 8 bits: such images are grey, as Pillow reads them."""
    return image.mode.startswith("I") or image.mode == "F"


def _finite(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        raise UnreadableImage("values that are not numbers")
    return values


def _plain(image: Image.Image, file_range: tuple[float, float] | None) -> Image.Image:
    """Give the mode L or RGB to an image of any mode; transparent pixels over white."""
    mode = image.mode
    if _is_deep(image):
        values = _finite(np.asarray(image))
        as_bytes = _to_bytes(values) if file_range is None else to_bytes(values, file_range)
        return Image.fromarray(as_bytes)
    if mode in ("1", "L") and "transparency" not in image.info:
        return image.convert("L")
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        layer = image.convert("LA" if mode == "La" else "RGBA").convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("L" if mode in ("LA", "La") else "RGB")
    return image.convert("RGB")


def _to_bytes(values: np.ndarray) -> np.ndarray:
    """Map the values of a 16-bit, 32-bit or float image to 0..255 by its type.

    Whole numbers are 16-bit unless they are larger (then the largest is white); floats are 0..1 or
    0..255 if they lie within, and otherwise run from their smallest to their largest.
    """
    if values.dtype.kind != "f":
        scaled = values.astype(np.float64) * (255 / max(65535, int(values.max())))
    else:
        low, high = float(values.min()), float(values.max())
        if low < 0 or high > 255:
            scaled = (values.astype(np.float64) - low) * (255 / ((high - low) or 1))
        else:
            scaled = values * (255 if high <= 1 else 1)
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
