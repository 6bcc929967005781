"""Convolutions in transformed tiles in the C++ core, held against the direct formulas."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet import arguments, config
from convlet.engine import Program, fusion, reference, transforms
from convlet.engine.transforms import Tile
from convlet.layers import Conv1D, Conv2D, Conv2DTranspose, Input
from convlet.models import Sequential
from convlet.ops import TapTable, tap_table
from native_runs import (
    BATCHES,
    BEST,
    INSTRUCTION_SETS,
    behind_dense,
    largest_of,
    normal_feeds,
    program_of,
    run_natively,
)
from numerics import tables, variable

machines = st.sampled_from(INSTRUCTION_SETS)
lanes_of_a_block = st.sampled_from((1, 16, 32))

LINES = (4, 6, 8, 12, 16, 24, 32)
FOURIER_TILES = [
    *((n,) for n in (*LINES, 64)),
    *((n, n) for n in LINES),
    *((4, 32), (32, 4), (1, 8), (8, 1), (6, 16), (24, 8)),
    *((4, 4, 4), (8, 8, 8), (4, 6, 8), (8, 4, 24), (1, 8, 8), (8, 1, 8), (8, 8, 1), (1, 1, 16)),
]
# points and windows of Winograd's tiles
FILTERINGS = [
    *(((4,), (2,)), ((4,), (3,)), ((6,), (2,)), ((6,), (3,)), ((6,), (4,)), ((6,), (5,))),
    *(((4, 4), (3, 3)), ((6, 6), (3, 3)), ((4, 6), (2, 5)), ((6, 4), (4, 3)), ((1, 6), (1, 3))),
    *(((6, 1), (3, 1)), ((4, 4, 4), (3, 2, 3)), ((6, 6, 6), (3, 3, 3)), ((6, 4, 6), (5, 3, 2))),
    *(((1, 4, 6), (1, 3, 4)), ((6, 1, 4), (2, 1, 2)), ((4, 6, 1), (2, 3, 1))),
]


float32 = functools.partial(variable, dtype="float32")


def program(
    table: TapTable, channels: int, filters: int, algorithm: str, operator: str = "conv"
) -> Program:
    """Return a network of a convolution whose input's gradient is asked for."""
    is_transposed = operator == "conv_transpose"
    grids = table.output_shape, table.input_shape
    given, made = grids if is_transposed else grids[::-1]
    ends = (filters, channels) if is_transposed else (channels, filters)

    def network(builder, x):
        kernel = builder.parameter(float32("kernel", *table.kernel_shape, *ends))
        bias = builder.parameter(float32("bias", filters))
        shape = (*made, filters)
        attributes = {"table": table, "groups": 1, "algorithm": algorithm}
        with builder.scope("conv"):
            y = builder.apply(operator, x, kernel, shape=shape, **attributes)
            return builder.apply("add_bias", y, bias, shape=shape)

    return program_of(behind_dense(network, channels), (*given, 2))


def check(
    table, channels, filters, images, instruction_set=BEST, lanes=0, operator="conv", way="fft"
):
    """Hold the output and all gradients against those of the direct formulas."""
    direct = program(table, channels, filters, "direct", operator)
    feeds = normal_feeds(direct, images)
    expected = reference.run(direct, feeds)
    in_tiles = program(table, channels, filters, way, operator)
    results = run_natively(in_tiles, feeds, instruction_set, lanes)
    largest = max(largest_of(array) for array in expected.values())
    for name, array in expected.items():
        scale = max(largest_of(array), 0.25 * largest)  # sums may cancel, transforms do not
        message = f"{name}, {instruction_set}, {lanes} lanes"
        np.testing.assert_allclose(results[name], array, 2e-5, 2e-5 * scale, err_msg=message)


def tiles_used(program: Program, images: int = 16, lanes: int = 16) -> list[transforms.Tile | None]:
    """Return the tiles of a program's convolutions, None for direct ones."""
    steps = fusion.fuse(program, images, lanes, 16)
    return [step.tile for step in steps if step.kind.startswith("conv")]


def has_tiles(table):
    """Return whether some tile fits: not where axes have one tap, or strides go with dilation."""
    apart = all(axis.stride == 1 or axis.dilation == 1 for axis in table.axes)
    return apart and any(axis.taps > axis.stride for axis in table.axes)


def has_few_taps(table):
    """Return whether Winograd's tiles fit, too."""
    return has_tiles(table) and all(-(-axis.taps // axis.stride) <= 5 for axis in table.axes)


channels_or_filters = st.integers(1, 40)
operators = st.sampled_from(["conv", "conv_transpose"])


@given(
    tables().filter(has_tiles),
    channels_or_filters,
    channels_or_filters,
    st.sampled_from(BATCHES),
    machines,
    lanes_of_a_block,
    operators,
)
@settings(max_examples=60, deadline=None)
def test_any_window(table, channels, filters, images, instruction_set, lanes, operator):
    check(table, channels, filters, images, instruction_set, lanes, operator)


@given(
    tables().filter(has_few_taps),
    channels_or_filters,
    channels_or_filters,
    st.sampled_from(BATCHES),
    machines,
    lanes_of_a_block,
    operators,
)
@settings(max_examples=60, deadline=None)
def test_any_window_of_few_taps(table, channels, filters, images, instruction_set, lanes, operator):
    check(table, channels, filters, images, instruction_set, lanes, operator, "winograd")


def check_tile(tile, window, way, lanes, instruction_set, monkeypatch):
    """Hold one tile, one of one more point, and several, against the direct formulas."""
    grid = tuple(size + 2 for size in tile.points)
    table = tap_table(grid, window, padding="same")
    monkeypatch.setattr(transforms, "_possible_tiles", lambda instruction: [tile])
    assert set(tiles_used(program(table, 3, 5, way))) == {tile}
    images = 17 if len(grid) < 3 else 2
    check(table, 3, 5, images, instruction_set, lanes, way=way)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", [1, 16])
@pytest.mark.parametrize("points", FOURIER_TILES, ids=str)
def test_every_size_of_fourier_tile(points, lanes, instruction_set, monkeypatch):
    window = tuple(1 if n == 1 else min(3, n - 1) for n in points)
    check_tile(Tile(True, points), window, "fft", lanes, instruction_set, monkeypatch)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", [1, 16])
@pytest.mark.parametrize(("points", "window"), FILTERINGS, ids=str)
def test_every_size_of_winograd_tile(points, window, lanes, instruction_set, monkeypatch):
    check_tile(Tile(False, points), window, "winograd", lanes, instruction_set, monkeypatch)


@pytest.mark.parametrize("lanes", [1, 16, 32])
@pytest.mark.parametrize(
    ("grid", "window", "strides", "dilation"),
    [
        ((1,), (3,), 1, 1),  # a grid of one point
        ((5, 1), (3, 3), 1, 1),
        ((40,), (33,), 4, 1),  # phases of 9 and of 8 taps
        ((41, 23), (7, 5), 2, 1),
        ((23, 19), (3, 2), (3, 1), 1),
        ((29,), (4,), 1, 5),  # classes of 6 and of 5 positions
        ((13, 14), (3, 3), 1, (2, 3)),
        ((9, 8, 7), (3, 2, 3), 2, 1),
        ((41, 3), (2, 1), (1, 2), 1),  # several tiles, and a phase that has no tap
    ],
)
def test_strides_and_dilations(grid, window, strides, dilation, lanes):
    table = tap_table(grid, window, strides, "same", dilation)
    check(table, 5, 18, 17, lanes=lanes)
    check(table, 17, 3, 2, lanes=lanes)
    check(table, 1, 1, 2, lanes=lanes)
    if has_few_taps(table):
        check(table, 5, 18, 17, lanes=lanes, way="winograd")


WAYS = pytest.mark.parametrize("way", ["fft", "winograd"])


@WAYS
def test_many_tiles_are_taken_in_bands(way):
    check(tap_table((150, 130), (3, 3), padding="same"), 33, 17, 16, lanes=16, way=way)


@WAYS
def test_many_channels_are_summed_in_parts(way):
    check(tap_table((12, 12), (5, 5)), 96, 96, 3, lanes=1, way=way)


@pytest.fixture
def setting(monkeypatch):
    """Return a function that changes a setting until the test ends."""
    return lambda name, value: monkeypatch.setattr(config, name, lambda: value)


@WAYS
@pytest.mark.parametrize("images", [1, 17])
@pytest.mark.parametrize("lanes", [1, 16])
def test_the_number_of_threads_changes_no_bit(way, lanes, images, setting):
    one_tile = program(tap_table((4, 4), (3, 3), padding="same"), 20, 37, way)
    many = program(tap_table((50, 20), (5, 5), padding="same"), 20, 37, way)
    phases = program(tap_table((7, 7), (5, 5), 2, padding="same"), 20, 37, way)
    few_rows = program(tap_table((7, 7), (5, 5), (1, 2), padding="same"), 3, 37, way)
    for by_fourier in (one_tile, many, phases, few_rows):
        feeds = normal_feeds(by_fourier, images)
        results = []
        for threads in (1, 2, 3):
            setting("threads", threads)
            results.append(run_natively(by_fourier, feeds, lanes=lanes))
        for name, array in results[0].items():
            for other in results[1:]:
                np.testing.assert_array_equal(other[name], array, name)


@WAYS
@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_an_image_alone_has_the_same_bits_as_in_any_batch(instruction_set, way, setting):
    layers = [Input((20, 20, 3)), Conv2D(24, 5, algorithm=way, activation="tanh")]
    model = Sequential(layers)
    x = np.random.default_rng(0).normal(size=(40, 20, 20, 3)).astype("float32")
    setting("instruction_set", instruction_set)
    alone = np.concatenate([model.predict_on_batch(x[i : i + 1]) for i in range(40)])
    for batch in (2, 16, 17, 40):
        parts = [model.predict_on_batch(x[i : i + batch]) for i in range(0, 40, batch)]
        np.testing.assert_array_equal(np.concatenate(parts), alone, f"batches of {batch}")


@WAYS
@pytest.mark.parametrize("activation", [None, "relu", "gelu"])
def test_bias_and_activation_are_fused(activation, way):
    def outputs(algorithm):
        model = Sequential(
            [
                Input((30, 2)),
                Conv1D(5, 4, activation=activation, bias_initializer="ones", algorithm=algorithm),
            ]
        )
        model.set_weights(
            [np.linspace(-1, 1, w.value.size).reshape(w.shape) for w in model.weights]
        )
        x = np.random.default_rng(1).normal(size=(3, 30, 2))
        return model.predict_on_batch(x)

    np.testing.assert_allclose(outputs(way), outputs("direct"), rtol=1e-4, atol=1e-5)


def test_infinity_stays_within_its_tiles():
    table = tap_table((200,), (9,))
    by_fourier = program(table, 1, 1, "fft")
    feeds = normal_feeds(by_fourier, 2)
    feeds["input"][0, 0] = np.inf
    y = run_natively(by_fourier, feeds)[by_fourier.output]
    assert np.isnan(y[0, :9]).all()
    assert np.isfinite(y[0, 100:]).all()
    assert np.isfinite(y[1]).all()


# --- the choice ---


def test_many_taps_and_channels_go_by_fourier_transform():
    table = tap_table((56, 56), (3, 3), padding="same")
    assert all(tiles_used(program(table, 64, 64, "auto")))


@pytest.mark.parametrize(
    ("grid", "window", "channels"),
    [((56, 56), (1, 1), 64), ((28, 28), (3, 3), 1), ((4, 4), (3, 3), 2)],
    ids=["one tap", "one channel", "a small grid"],
)
def test_others_are_direct(grid, window, channels):
    table = tap_table(grid, window, padding="same")
    assert not any(tiles_used(program(table, channels, channels, "auto")))


def test_what_is_asked_for_is_done():
    table = tap_table((56, 56), (3, 3), padding="same")
    assert not any(tiles_used(program(table, 64, 64, "direct")))
    small = tap_table((4, 4), (3, 3), padding="same")
    assert all(tiles_used(program(small, 1, 1, "fft")))


@WAYS
def test_a_window_too_large_for_a_tile_is_direct_or_refused(way):
    table = tap_table((200,), (70,))
    assert not any(tiles_used(program(table, 64, 64, "auto")))
    message = (
        rf"^conv: algorithm '{way}' has no tile for a window of 70; 'auto' and 'direct' take any"
    )
    with pytest.raises(ValueError, match=message):
        tiles_used(program(table, 1, 1, way))


def test_strides_together_with_dilation_are_direct():
    table = tap_table((56, 56), (3, 3), 2, dilation_rate=2)
    assert not any(tiles_used(program(table, 64, 64, "auto")))
    four = tap_table((4, 4, 4, 4), (3, 3, 3, 3))
    assert not any(tiles_used(program(four, 64, 64, "auto")))


def test_a_prediction_is_made_the_same_way_in_any_batch():
    model = Sequential([Input((56, 56, 64)), Conv2D(64, 3, padding="same")])
    predicting = model.program("predict", (56, 56, 64))
    ways = {str(tiles_used(predicting, n, lanes)) for n in (1, 16, 500) for lanes in (1, 16, 32)}
    assert len(ways) == 1


def test_a_transform_that_does_not_fit_in_memory_is_refused(monkeypatch):
    monkeypatch.setattr(arguments, "_memory", lambda: 10**6)
    message = r"^conv: the kernel's transform, for algorithm 'fft' would take 0.0139 GB"
    by_fourier = program(tap_table((64, 64), (3, 3)), 64, 64, "fft")
    with pytest.raises(ValueError, match=message):
        run_natively(by_fourier, normal_feeds(by_fourier, 1))


# --- layers ---


@pytest.mark.parametrize("layer", [Conv1D, Conv2D, Conv2DTranspose])
def test_layers_take_an_algorithm(layer):
    assert layer(3, 3).algorithm == "auto"
    for algorithm in ("fft", "winograd"):
        assert layer(3, 3, algorithm=algorithm).get_config()["algorithm"] == algorithm
    message = r"algorithm must be one of .*, got 'strassen'"
    with pytest.raises(ValueError, match=message):
        layer(3, 3, algorithm="strassen")


@WAYS
def test_a_layer_in_tiles_refuses_strides_and_groups(way):
    message = (
        rf"^Conv2D .*: algorithm '{way}' needs strides and groups of 1, "
        r"got strides=\(2, 2\) and g"
    )
    with pytest.raises(ValueError, match=message):
        Conv2D(4, 3, strides=2, algorithm=way)
    with pytest.raises(ValueError, match=r"got .* groups=2"):
        Conv2D(4, 3, groups=2, algorithm=way)


@pytest.mark.parametrize("size", [1, (3, 6)])
def test_a_layer_by_winograd_refuses_other_windows(size):
    message = (
        r"^Conv2D .*: algorithm 'winograd' is for windows of 2 to 5 taps along an axis, "
        r"got kernel_size=\("
    )
    with pytest.raises(ValueError, match=message):
        Conv2D(4, size, algorithm="winograd")


@WAYS
@pytest.mark.parametrize("lanes", [1, 16])
def test_what_goes_past_is_added_before_anything_is_written(lanes, way):
    def network(builder, x, algorithm):
        kernel = float32("kernel", 3, 3, 5, 5)
        with builder.scope("conv"):
            table = tap_table((9, 9), (3, 3), padding="same")
            attributes = {"table": table, "groups": 1, "algorithm": algorithm}
            y = builder.apply("conv", x, builder.parameter(kernel), shape=x.shape, **attributes)
            return builder.apply("add", y, x, shape=x.shape)

    programs = [
        program_of(behind_dense(functools.partial(network, algorithm=a), 5), (9, 9, 2))
        for a in ("direct", way)
    ]
    feeds = normal_feeds(programs[0], 17)
    expected = reference.run(programs[0], feeds)
    results = run_natively(programs[1], feeds, lanes=lanes)
    for name, array in expected.items():
        np.testing.assert_allclose(results[name], array, 2e-5, 2e-5 * np.abs(array).max(), name)
