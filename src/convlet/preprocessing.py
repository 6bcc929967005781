"""How a file becomes a network's input: images decoded, sized and scaled, ``.npy`` as it is.

A model carries one ``Preprocessing``, so that an image met later is turned into the numbers that
the model was trained on. Files are hostile until shown otherwise: the formats are the common ones
whose decoders execute nothing, images that would expand beyond measure are refused, and an array
is allocated only once the file has been seen to hold it.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convlet import arguments
from convlet.npy import read_npy

if TYPE_CHECKING:
    from PIL import Image

_OWNER = "Preprocessing"
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # Pillow's names, by number of channels
_MAX_PIXELS = 1 << 26
_MAX_FLOAT32 = float(np.finfo(np.float32).max)

# Not everything Pillow opens: EPS, for one, hands the file to Ghostscript, which runs it.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "PPM", "TIFF", "WEBP")
_MODES_8_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
_MODES_16_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
_GREY_MODES = ("1", "L", "LA", "I", *_MODES_16_BIT)
_ORIENTATION, _LYING = 0x0112, range(5, 9)  # EXIF's tag, and values that swap height and width

_filters_lock = threading.Lock()  # warnings' filters belong to all threads


@dataclass(frozen=True)
class Preprocessing:
    """How an image file becomes a network's input.

    The image is turned upright (EXIF), laid on white where it is transparent (as viewers show it;
    with 4 channels the transparency is kept instead), converted, resized if its size differs, and
    its values 0 to 255 are mapped linearly to ``minimum`` to ``maximum``.

    Parameters
    ----------
    height, width : int
        Size of the input in pixels, at most 2^26 pixels together.
    channels : int
        1 for greyscale, 3 for RGB, 4 for RGBA.
    minimum, maximum : float
        What black (0) and white (255) become: 0 and 16 for scikit-learn's digits, 0 and 255 for
        MNIST.

    Raises
    ------
    ValueError
        If one of them is anything else, or ``minimum`` is not less than ``maximum``.
    """

    height: int
    width: int
    channels: int
    minimum: float
    maximum: float

    def __post_init__(self) -> None:
        for name in ("height", "width", "channels"):
            count = arguments.integer(_OWNER, name, getattr(self, name))
            object.__setattr__(self, name, count)
        for name in ("minimum", "maximum"):
            value = arguments.real(_OWNER, name, getattr(self, name), -_MAX_FLOAT32, _MAX_FLOAT32)
            object.__setattr__(self, name, value)
        if self.height * self.width > _MAX_PIXELS:
            size = (self.height, self.width)
            raise arguments.invalid(_OWNER, "height x width", f"at most {_MAX_PIXELS} pixels", size)
        if self.channels not in _MODES:
            requirement = "1 (greyscale), 3 (RGB) or 4 (RGBA)"
            raise arguments.invalid(_OWNER, "channels", requirement, self.channels)
        if not self.minimum < self.maximum:
            requirement = f"less than maximum ({self.maximum})"
            raise arguments.invalid(_OWNER, "minimum", requirement, self.minimum)

    def load_image(self, path: str | os.PathLike[str]) -> np.ndarray:
        """Return an image file as the network's input.

        Parameters
        ----------
        path : str or path
            A PNG, JPEG, GIF, BMP, PPM/PGM, TIFF or WebP file; of several frames the first is taken.
            Of 16 bits a channel 8 are kept.

        Returns
        -------
        ndarray
            float32 of shape (height, width, channels).

        Raises
        ------
        ValueError
            If the file is damaged, no image of these formats, too large to be decoded safely, or
            has pixels without a known range (floating point, 32-bit integers, Lab).
        ImportError
            If Pillow is not installed.
        OSError
            If the file is missing or may not be read.
        """
        image = _convert(_decode(Path(path)), self.channels)
        values = np.asarray(_resize(image, self.width, self.height), dtype=np.float64)
        values = self.minimum + values * ((self.maximum - self.minimum) / 255.0)
        return values.astype(np.float32).reshape(self.height, self.width, self.channels)

    def to_config(self) -> dict[str, Any]:
        """Return the arguments as plain JSON types, by name."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Preprocessing:
        """Return the preprocessing that ``to_config`` described.

        Raises
        ------
        ValueError
            If ``config`` is not a dictionary with exactly these keys and values that would do.
        """
        names = [field.name for field in fields(cls)]
        if not isinstance(config, dict):
            raise arguments.invalid(_OWNER, "config", "a dictionary", config)
        if set(config) != set(names):
            requirement = f"a dictionary of exactly {', '.join(names)}"
            raise arguments.invalid(_OWNER, "config", requirement, list(config))
        return cls(**config)


def load_input(path: str | os.PathLike[str], preprocessing: Preprocessing | None) -> np.ndarray:
    """Return what a file gives a network to look at.

    Parameters
    ----------
    path : str or path
        A ``.npy`` file, returned as stored, or an image.
    preprocessing : Preprocessing or None
        What makes an input of an image; None if the model carries none.

    Returns
    -------
    ndarray
        The stored array, or float32 of shape (height, width, channels).

    Raises
    ------
    ValueError
        If the file is damaged or holds something else than numbers, or is an image and
        ``preprocessing`` is None.
    ImportError
        If the file is an image and Pillow is not installed.
    OSError
        If the file is missing or may not be read.
    """
    path = Path(path)
    if path.suffix.lower() == ".npy":
        with path.open("rb") as file:
            return read_npy(file, os.fstat(file.fileno()).st_size, str(path))
    if preprocessing is None:
        raise ValueError(
            f"{path}: the model carries no image preprocessing, so a .npy file is needed"
        )
    return preprocessing.load_image(path)


def image_form(path: str | os.PathLike[str]) -> tuple[int, int, int]:
    """Return an image's height, width and number of channels, 1 or 3, without decoding it.

    Raises
    ------
    ValueError, ImportError, OSError
        As `Preprocessing.load_image`.
    """
    with _opened(Path(path)) as image:
        width, height = image.size
        if image.getexif().get(_ORIENTATION) in _LYING:
            width, height = height, width
        return height, width, 1 if image.mode in _GREY_MODES else 3


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image file; what goes wrong with it, then or later, is a ValueError."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError('reading images needs Pillow: pip install "convlet[learn]"') from error

    with path.open("rb") as file:
        try:
            with _filters_lock, warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                opened = Image.open(file, formats=_FORMATS)
            with opened:
                yield opened
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise ValueError(f"{path}: the image is too large to be decoded safely") from error
        except MemoryError:
            raise  # which says nothing about the file
        except Exception as error:  # Pillow's decoders raise nearly everything on damaged files
            raise ValueError(
                f"{path}: the file is damaged or not one of {', '.join(_FORMATS)}"
            ) from error


def _decode(path: Path) -> Image.Image:
    """Return the first frame of an image file, upright, with 8 bits a channel."""
    with _opened(path) as opened:
        from PIL import ImageOps

        image_format = opened.format
        image = ImageOps.exif_transpose(opened)
    # Of PGM, and in older versions of PNG, Pillow makes 32-bit integers of 16 bits' range.
    if image.mode in _MODES_16_BIT or (image.mode == "I" and image_format in ("PNG", "PPM")):
        return _round_to_8_bits(image)
    if image.mode not in _MODES_8_BIT:
        raise ValueError(
            f"{path}: pixels of mode {image.mode!r} have no known range; "
            f"save the image with 8 bits a channel"
        )
    return image


def _round_to_8_bits(image: Image.Image) -> Image.Image:
    """Return 16-bit greyscale as 8-bit, with alpha if one of the grey levels means transparent."""
    from PIL import Image

    levels = np.asarray(image).astype(np.uint32)
    rounded = Image.fromarray(((levels + 128) // 257).astype(np.uint8))  # 65535 = 257 * 255
    transparent = image.info.get("transparency")
    if transparent is not None:
        rounded.putalpha(Image.fromarray(np.where(levels == transparent, 0, 255).astype(np.uint8)))
    return rounded


def _convert(image: Image.Image, channels: int) -> Image.Image:
    """Return the image in greyscale or RGB, laid on white, or in RGBA as it is."""
    from PIL import Image

    image = image.convert("RGBA")  # the one mode that knows every kind of transparency
    if channels != 4:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(_MODES[channels])


def _resize(image: Image.Image, width: int, height: int) -> Image.Image:
    """Return the image with another size; Pillow's bilinear filter widens when it shrinks."""
    from PIL import Image

    if image.size == (width, height):
        return image
    return image.resize((width, height), Image.Resampling.BILINEAR)
