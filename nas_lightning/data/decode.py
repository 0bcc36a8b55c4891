"""From image files of any kind to bytes of one size: what Pillow reads, grey or colour, of any shape."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from nas_lightning.data.images import DataError

GREY, COLOUR = 1, 3
DEFAULT_SIDE, LARGEST_KEPT = 32, 64
"""Images of several sizes, or larger than the second, are brought to the first where no size is given."""

_PALETTE_MODES = ("P", "PA")
_GREY_MODES, _DEEP_MODES = ("1", "L", "LA", "La"), ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


def opened(content: Any) -> Any:
    """A Pillow image of a path, of bytes, or as it is. Raises DataError without a name, as ``is no image …``."""
    from PIL import Image

    if isinstance(content, Image.Image):
        return content
    try:
        return Image.open(io.BytesIO(content) if isinstance(content, bytes) else content)
    except FileNotFoundError:
        raise DataError("is not there any more") from None
    except Exception as error:
        raise DataError(f"is no image that can be read ({type(error).__name__})") from None


def fitted(size: int | None, grey: bool | None, contents: Iterable[tuple[str, Any]]) -> tuple[int, int]:
    """Side and channels that images are brought to: what is given, the rest by `look`."""
    if size is not None and not 1 <= size <= 4096:
        raise DataError(f"data.size={size} is out of range; give a side from 1 to 4096 pixels, or null")
    if size is not None and grey is not None:
        return size, GREY if grey else COLOUR
    side, channels = look(contents)
    return size or side, channels if grey is None else (GREY if grey else COLOUR)


def look(contents: Iterable[tuple[str, Any]]) -> tuple[int, int]:
    """Side and channels that suit all images, from their headers: their own side where all are one square of at most
    64 pixels, else 32; grey where all are. Says which images have a palette, since a map of labels may be meant. Raises
    DataError, by name."""
    sizes: set[tuple[int, int]] = set()
    of_palettes: list[str] = []
    channels = GREY
    for name, content in contents:
        try:
            image = opened(content)
            _refuse_deep(image)
        except DataError as error:
            raise DataError(f"{name} {error}") from None
        sizes.add(image.size)
        of_palettes += [name] if image.mode in _PALETTE_MODES else []
        channels = channels if image.mode in _GREY_MODES else COLOUR
    if of_palettes:
        print(
            f"{len(of_palettes):,} images have a palette and are read as its colours: {of_palettes[0]}", file=sys.stderr
        )
    (width, height), *others = sizes
    one = not others and width == height and width <= LARGEST_KEPT
    return (width if one else DEFAULT_SIDE), channels


def to_array(content: Any, side: int, channels: int) -> np.ndarray:
    """uint8 [side, side, channels]: the largest centred square, brought to `side`; palettes become their colours.

    Raises DataError without a name.
    """
    from PIL import Image, ImageOps

    image = opened(content)
    _refuse_deep(image)
    try:
        image = ImageOps.exif_transpose(image)
        if image.mode in _PALETTE_MODES:
            image = image.convert("RGBA" if "transparency" in image.info else "RGB")
        image = image.convert("L" if channels == GREY else "RGB")
        if image.size != (side, side):
            image = ImageOps.fit(
                image,
                (side, side),
                method=Image.Resampling.BOX if min(image.size) >= side else Image.Resampling.BILINEAR,
            )
        return np.array(image, np.uint8).reshape(side, side, channels)
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"is damaged ({type(error).__name__}); take it out or restore it") from None


def _refuse_deep(image: Any) -> None:
    if image.mode in _DEEP_MODES or str(image.mode).startswith("I;16"):
        raise DataError(f"has more than 8 bits a pixel (mode {image.mode}); save it with 8 bits a channel")


def suffixes() -> frozenset[str]:
    """Endings of the files that Pillow reads, in lower case."""
    from PIL import Image

    Image.init()
    return frozenset(end for end, kind in Image.registered_extensions().items() if kind in Image.OPEN)
