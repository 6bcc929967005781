"""From image and .npy files to a network's input: every kind of pixel, and hostile files."""

import io
import json
import re
import struct
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import EpsImagePlugin, Image

from convlet.npy import read_npy
from convlet.preprocessing import Preprocessing, load_input

GREY = Preprocessing(2, 3, 1, 0.0, 255.0)
RGB = Preprocessing(2, 3, 3, 0.0, 255.0)
RGBA = Preprocessing(2, 3, 4, 0.0, 255.0)
LEVELS = np.array([[0, 1, 127], [128, 254, 255]], np.uint8)
COLOURS = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 14
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "PPM", "TIFF", "WEBP")


@pytest.fixture
def save(tmp_path):
    def save(pixels, name="image.png", **options):
        path = tmp_path / name
        image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
        image.save(path, **options)
        return path

    return save


def refuses(path, message):
    return pytest.raises(ValueError, match=f"^{re.escape(f'{path}: {message}')}$")


def changes_of(valid):
    """Draw any bytes, or ``valid`` cut off somewhere or with one byte changed."""
    change = st.tuples(st.integers(0, len(valid) - 1), st.binary(min_size=1, max_size=1))
    return (
        st.binary(max_size=64)
        | st.integers(0, len(valid)).map(lambda end: valid[:end])
        | change.map(lambda c: valid[: c[0]] + c[1] + valid[c[0] + 1 :])
    )


def png_of_16_bits(colour_type, values, transparency=b""):
    """Return a PNG file of 3 x 2 pixels, as Pillow cannot write it in all its versions."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    rows = np.asarray(values, ">u2").reshape(2, -1)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 2, 16, colour_type, 0, 0, 0)),
            chunk(b"tRNS", transparency) if transparency else b"",
            chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))),
            chunk(b"IEND", b""),
        ]
    )


class TestArguments:
    """What a preprocessing is made of, and its configuration."""

    def test_plain_python_numbers(self):
        made = Preprocessing(np.int64(8), np.uint8(9), np.int32(1), 0, np.float32(16))
        assert made == Preprocessing(8, 9, 1, 0.0, 16.0)
        assert [type(value) for value in made.to_config().values()] == [int] * 3 + [float] * 2

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"height": 0}, "height must be an integer of at least 1, got 0"),
            ({"width": 2.0}, "width must be an integer of at least 1, got 2.0"),
            ({"width": "3"}, "width must be an integer of at least 1, got '3'"),
            ({"channels": True}, "channels must be an integer of at least 1, got True"),
            ({"channels": 2}, "channels must be 1 (greyscale), 3 (RGB) or 4 (RGBA), got 2"),
            (
                {"height": 8193, "width": 8192},
                "height x width must be at most 67108864 pixels, got (8193, 8192)",
            ),
            (
                {"minimum": float("nan")},
                "minimum must be a number of at least -3.40282e+38 and of at most 3.40282e+38, "
                "got nan",
            ),
            (
                {"maximum": 1e39},
                "maximum must be a number of at least -3.40282e+38 and of at most 3.40282e+38, "
                "got 1e+39",
            ),
            ({"minimum": 255}, "minimum must be less than maximum (255.0), got 255.0"),
        ],
    )
    def test_bad_arguments(self, change, message):
        config = GREY.to_config() | change
        with pytest.raises(ValueError, match=f"^{re.escape(f'Preprocessing: {message}')}$"):
            Preprocessing(**config)
        with pytest.raises(ValueError, match=f"^{re.escape(f'Preprocessing: {message}')}$"):
            Preprocessing.from_config(config)

    def test_config_survives_json(self):
        made = Preprocessing(28, 30, 3, -1.0, 1.0)
        assert Preprocessing.from_config(json.loads(json.dumps(made.to_config()))) == made

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            (None, "config must be a dictionary, got None"),
            ([1, 2], "config must be a dictionary, got [1, 2]"),
            (
                {"height": 2, "width": 3},
                "config must be a dictionary of exactly height, width, channels, minimum, maximum, "
                "got ['height', 'width']",
            ),
            (
                GREY.to_config() | {"mean": 0.5},
                "config must be a dictionary of exactly height, width, channels, minimum, maximum, "
                "got ['height', 'width', 'channels', 'minimum', 'maximum', 'mean']",
            ),
        ],
    )
    def test_config_of_other_keys(self, config, message):
        with pytest.raises(ValueError, match=f"^{re.escape(f'Preprocessing: {message}')}$"):
            Preprocessing.from_config(config)


class TestPixels:
    """What becomes of an image of the right size, whatever its pixels are."""

    def test_values_are_mapped_to_the_range(self, save):
        path = save(LEVELS)
        for minimum, maximum in ((0.0, 255.0), (0.0, 16.0), (-1.0, 1.0)):
            values = Preprocessing(2, 3, 1, minimum, maximum).load_image(str(path))
            assert (values.shape, values.dtype) == ((2, 3, 1), np.float32)
            expected = minimum + LEVELS / 255 * (maximum - minimum)
            np.testing.assert_allclose(values[..., 0], expected, rtol=1e-6)
            assert (values.min(), values.max()) == (minimum, maximum)

    def test_eight_bits_are_kept_exactly(self, save):
        np.testing.assert_array_equal(GREY.load_image(save(LEVELS))[..., 0], LEVELS)
        np.testing.assert_array_equal(RGB.load_image(save(COLOURS)), COLOURS)

    @pytest.mark.parametrize("image_format", ["PNG", "BMP", "PPM", "TIFF"])
    def test_lossless_formats(self, save, image_format):
        path = save(COLOURS, "image", format=image_format)
        np.testing.assert_array_equal(RGB.load_image(path), COLOURS)

    @pytest.mark.parametrize("image_format", ["JPEG", "GIF", "WEBP"])
    def test_lossy_formats(self, save, image_format):
        path = save(np.full((2, 3, 3), 200, np.uint8), "image", format=image_format)
        np.testing.assert_allclose(RGB.load_image(path), 200, atol=4)

    def test_grey_becomes_three_equal_channels(self, save):
        values = RGB.load_image(save(LEVELS))
        np.testing.assert_array_equal(values, np.repeat(LEVELS[..., np.newaxis], 3, axis=2))

    def test_colour_becomes_luma(self, save):
        luma = COLOURS @ np.array([0.299, 0.587, 0.114])  # ITU-R 601-2
        np.testing.assert_allclose(GREY.load_image(save(COLOURS))[..., 0], luma, atol=0.5)

    def test_black_and_white(self, save):
        path = save(Image.fromarray(LEVELS > 127))
        np.testing.assert_array_equal(GREY.load_image(path)[..., 0], (LEVELS > 127) * 255)

    def test_cmyk(self, save):
        path = save(Image.new("CMYK", (3, 2), (0, 255, 255, 0)), "red.tiff")
        np.testing.assert_array_equal(RGB.load_image(path)[0, 0], [255, 0, 0])

    LEVELS_16_BIT = np.array([[0, 128, 129], [32896, 65406, 65535]], np.uint16)

    @pytest.mark.parametrize("kind", ["png", "pgm", "tiff"])
    def test_grey_of_16_bits_is_rounded_to_8(self, tmp_path, kind):
        path = tmp_path / "image"
        if kind == "tiff":
            Image.fromarray(self.LEVELS_16_BIT).save(path, "TIFF")
        elif kind == "png":
            path.write_bytes(png_of_16_bits(0, self.LEVELS_16_BIT))
        else:
            path.write_bytes(b"P5 3 2 65535\n" + self.LEVELS_16_BIT.astype(">u2").tobytes())
        np.testing.assert_array_equal(GREY.load_image(path)[..., 0], [[0, 0, 1], [128, 254, 255]])

    def test_colour_of_16_bits(self, tmp_path):
        path = tmp_path / "image.png"
        path.write_bytes(png_of_16_bits(2, COLOURS.astype(np.uint16) * 257))
        np.testing.assert_array_equal(RGB.load_image(path), COLOURS)

    @pytest.mark.parametrize(
        ("pixels", "mode"),
        [(np.ones((2, 3), np.float32), "F"), (np.ones((2, 3), np.int32), "I")],
    )
    def test_pixels_without_a_range(self, save, pixels, mode):
        path = save(pixels, "image.tiff")
        message = (
            f"pixels of mode '{mode}' have no known range; save the image with 8 bits a channel"
        )
        with refuses(path, message):
            GREY.load_image(path)

    def test_first_frame(self, save):
        frames = [Image.new("L", (3, 2), level) for level in (40, 200)]
        path = save(frames[0], "film.gif", save_all=True, append_images=frames[1:])
        np.testing.assert_array_equal(GREY.load_image(path), 40)

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation(self, save, orientation):
        # How the upright image was turned before it was stored, after the EXIF standard.
        stored = {
            1: LEVELS,
            2: LEVELS[:, ::-1],
            3: LEVELS[::-1, ::-1],
            4: LEVELS[::-1],
            5: LEVELS.T,
            6: LEVELS.T[::-1],
            7: LEVELS[::-1, ::-1].T,
            8: LEVELS.T[:, ::-1],
        }[orientation]
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = save(np.ascontiguousarray(stored), exif=exif)
        np.testing.assert_array_equal(GREY.load_image(path)[..., 0], LEVELS)


class TestTransparency:
    """Laid on white, or kept where the network takes four channels."""

    ALPHA = np.array([[0, 255, 255], [0, 51, 255]], np.uint8)
    ON_WHITE = np.array([[255, 1, 127], [255, 230, 255]])  # 230 = 255 + (128 - 255) * 51 / 255

    def test_grey_and_alpha(self, save):
        levels = np.where(LEVELS == 254, 128, LEVELS).astype(np.uint8)
        image = Image.fromarray(levels)
        image.putalpha(Image.fromarray(self.ALPHA))
        assert image.mode == "LA"
        path = save(image)
        np.testing.assert_array_equal(GREY.load_image(path)[..., 0], self.ON_WHITE)
        np.testing.assert_array_equal(RGBA.load_image(path)[..., 3], self.ALPHA)

    def test_colour_and_alpha(self, save):
        image = Image.new("RGBA", (3, 2), (200, 0, 100, 51))
        path = save(image)
        np.testing.assert_array_equal(RGB.load_image(path)[0, 0], [244, 204, 224])
        np.testing.assert_array_equal(RGBA.load_image(path)[0, 0], [200, 0, 100, 51])

    def test_opaque_image_of_four_channels(self, save):
        values = RGBA.load_image(save(COLOURS))
        np.testing.assert_array_equal(values[..., :3], COLOURS)
        np.testing.assert_array_equal(values[..., 3], 255)

    def test_transparent_colour(self, save):
        path = save(COLOURS, transparency=(0, 14, 28))
        expected = COLOURS.copy()
        expected[0, 0] = 255
        np.testing.assert_array_equal(RGB.load_image(path), expected)

    def test_transparent_grey_level(self, save):
        path = save(LEVELS, transparency=1)
        np.testing.assert_array_equal(GREY.load_image(path)[..., 0], [[0, 255, 127], LEVELS[1]])

    def test_transparent_level_of_16_bits(self, tmp_path):
        path = tmp_path / "image.png"
        path.write_bytes(png_of_16_bits(0, [0, 256, 257, 258, 514, 65535], b"\x01\x01"))
        np.testing.assert_array_equal(GREY.load_image(path)[..., 0], [[0, 1, 255], [1, 2, 255]])
        np.testing.assert_array_equal(RGBA.load_image(path)[0, :, 3], [255, 255, 0])

    @pytest.mark.parametrize("transparency", [1, b"\xff\x00\xff"], ids=["index", "table"])
    def test_palette(self, save, transparency):
        image = Image.fromarray(np.array([[0, 1, 2], [2, 1, 0]], np.uint8)).convert("P")
        image.putpalette([10, 20, 30, 0, 0, 0, 70, 80, 90])
        path = save(image, transparency=transparency)
        expected = np.array([[10, 20, 30], [255, 255, 255], [70, 80, 90]])
        np.testing.assert_array_equal(RGB.load_image(path)[0], expected)
        np.testing.assert_array_equal(RGBA.load_image(path)[0, :, 3], [255, 0, 255])


class TestResize:
    """Images of another size than the network's."""

    @pytest.mark.parametrize("size", [(1, 1), (5, 7), (40, 3), (2, 2)])
    def test_a_constant_stays_constant(self, save, size):
        path = save(np.full(size, 77, np.uint8))
        np.testing.assert_array_equal(GREY.load_image(path), np.full((2, 3, 1), 77))

    def test_shrinking_averages(self, save):
        stripes = np.zeros((64, 96), np.uint8)
        stripes[:, ::2] = 255  # without a wide filter some samples would be 0, others 255
        np.testing.assert_allclose(GREY.load_image(save(stripes)), 127.5, atol=8)

    def test_growing_is_bilinear(self, save):
        path = save(np.array([[0, 200]], np.uint8))
        values = Preprocessing(1, 4, 1, 0.0, 255.0).load_image(path)
        np.testing.assert_array_equal(values.ravel(), [0, 50, 150, 200])

    def test_height_comes_first(self, save):
        path = save(LEVELS)
        assert Preprocessing(5, 4, 3, 0.0, 1.0).load_image(path).shape == (5, 4, 3)


class TestDamagedImages:
    """Files that are no image, or a dangerous one."""

    MESSAGE = "the file is damaged or not one of PNG, JPEG, GIF, BMP, PPM, TIFF, WEBP"

    @pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
    def test_not_an_image(self, tmp_path, data):
        path = tmp_path / "image.png"
        path.write_bytes(data)
        with refuses(path, self.MESSAGE):
            GREY.load_image(path)

    def test_postscript_is_never_run(self, save, monkeypatch):
        path = save(LEVELS, "image.eps")
        runs = []
        monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *args, **_: runs.append(args))
        with refuses(path, self.MESSAGE):
            GREY.load_image(path)
        assert runs == []

    @pytest.mark.parametrize("image_format", FORMATS)
    def test_truncated(self, save, image_format):
        noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
        path = save(noise, "image", format=image_format)
        path.write_bytes(path.read_bytes()[:-400])
        with refuses(path, self.MESSAGE):
            RGB.load_image(path)

    def test_memory_that_is_not_there(self, save, monkeypatch):
        def fail(*arguments, **options):
            raise MemoryError("16 GB")

        path = save(LEVELS)
        monkeypatch.setattr(Image, "open", fail)
        with pytest.raises(MemoryError, match="16 GB"):  # not: the file is damaged
            RGB.load_image(path)

    @pytest.mark.parametrize("limit", [5, 2], ids=["warning", "error"])
    def test_decompression_bomb(self, save, monkeypatch, limit):
        path = save(LEVELS)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with refuses(path, "the image is too large to be decoded safely"):
            GREY.load_image(path)

    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"No such file or directory: '.*absent\.png'"):
            GREY.load_image(tmp_path / "absent.png")

    def test_folder(self, tmp_path):
        with pytest.raises(IsADirectoryError, match=f"Is a directory: '{tmp_path}'"):
            GREY.load_image(tmp_path)

    def test_missing_pillow(self, save, monkeypatch):
        path = save(LEVELS)
        monkeypatch.setitem(sys.modules, "PIL", None)
        message = r'^reading images needs Pillow: pip install "convlet\[learn\]"$'
        with pytest.raises(ImportError, match=message):
            GREY.load_image(path)

    @pytest.mark.parametrize("image_format", FORMATS)
    @pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of damage that Pillow can live with
    @settings(deadline=None, max_examples=50)
    @given(data=st.data())
    def test_hostile_bytes_load_or_raise_value_error(self, tmp_path_factory, image_format, data):
        stream = io.BytesIO()
        Image.fromarray(COLOURS).save(stream, image_format)
        path = tmp_path_factory.getbasetemp() / "hostile-image"
        path.write_bytes(data.draw(changes_of(stream.getvalue())))
        try:
            values = RGB.load_image(path)
        except ValueError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017 - other exceptions must escape
        else:
            assert values.shape == (2, 3, 3)
            assert np.isfinite(values).all()


class TestLoadInput:
    """An array or an image, by the file's name."""

    @pytest.mark.parametrize(
        "array",
        [
            np.arange(6.0).reshape(2, 3),
            np.arange(6, dtype=">i2"),
            np.ones((2, 1, 3), np.float16, order="F"),
            np.array([True, False]),
            np.array(3.5),
        ],
    )
    @pytest.mark.parametrize("preprocessing", [None, GREY])
    def test_arrays_are_returned_as_stored(self, tmp_path, array, preprocessing):
        path = tmp_path / "x.npy"
        np.save(path, array)
        loaded = load_input(str(path), preprocessing)
        assert loaded.dtype == array.dtype
        assert loaded.flags.writeable
        np.testing.assert_array_equal(loaded, array)

    def test_suffix_in_capitals(self, tmp_path):
        path = tmp_path / "X.NPY"
        with path.open("wb") as file:
            np.save(file, LEVELS)
        np.testing.assert_array_equal(load_input(path, None), LEVELS)

    def test_images_are_preprocessed(self, save):
        np.testing.assert_array_equal(load_input(save(LEVELS), GREY)[..., 0], LEVELS)

    def test_image_without_preprocessing(self, save):
        path = save(LEVELS)
        message = "the model carries no image preprocessing, so a .npy file is needed"
        with refuses(path, message):
            load_input(path, None)

    @pytest.mark.parametrize(
        ("array", "dtype"),
        [
            (np.array([None]), "object"),
            (np.array([1j]), "complex128"),
            (np.array(["a"]), "<U1"),
            (np.array([b"a"]), "|S1"),
        ],
    )
    def test_arrays_of_something_else(self, tmp_path, array, dtype):
        path = tmp_path / "x.npy"
        np.save(path, array)
        message = f"the array must hold numbers or booleans, got dtype {dtype}"
        with refuses(path, message):
            load_input(path, None)

    @pytest.mark.parametrize("change", [-1, 1])
    def test_size_that_differs_from_the_header(self, tmp_path, change):
        path = tmp_path / "x.npy"
        np.save(path, LEVELS)
        path.write_bytes((path.read_bytes() + b"\0")[: path.stat().st_size + change])
        message = f"the header announces shape (2, 3) of uint8, but {6 + change} bytes follow"
        with refuses(path, message):
            load_input(path, None)

    def test_not_an_array(self, save):
        path = save(LEVELS, "x.npy", format="PNG")
        with refuses(path, "damaged, or not a .npy array of version 1.0"):
            load_input(path, None)

    def test_stream_that_ends_before_its_size(self):
        stream = io.BytesIO()
        np.save(stream, LEVELS)
        data = stream.getvalue()
        with pytest.raises(ValueError, match=r"^member: the data ends early$"):
            read_npy(io.BytesIO(data[:-1]), len(data), "member")

    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"No such file or directory: '.*absent\.npy'"):
            load_input(tmp_path / "absent.npy", None)

    @pytest.mark.filterwarnings("ignore:Reading `.npy`")  # a header as of Python 2 may come about
    @settings(deadline=None)
    @given(data=st.data())
    def test_hostile_bytes_load_or_raise_value_error(self, tmp_path_factory, data):
        stream = io.BytesIO()
        np.save(stream, LEVELS)
        path = tmp_path_factory.getbasetemp() / "hostile.npy"
        path.write_bytes(data.draw(changes_of(stream.getvalue())))
        try:
            array = load_input(path, None)
        except ValueError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017 - other exceptions must escape
        else:
            assert array.nbytes == LEVELS.nbytes
