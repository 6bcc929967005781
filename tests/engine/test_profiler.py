"""The profile of a program: a stage for each thing that it does, in order; no time is asserted."""

import numpy as np
import pytest

from convlet import Sequential, config, layers
from convlet.engine import profiler
from convlet.engine.native import executable
from networks import small_network


@pytest.fixture
def settings():
    """Put the executor and the number of threads back afterwards."""
    executor, threads = config.executor(), config.threads()
    yield config
    config.set_executor(executor)
    config.set_threads(threads)


def compiled(model):
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def feeds(images=16, dtype=np.float32):
    return {
        "input": np.random.default_rng(0).random((images, 6, 6, 1)).astype(dtype),
        "targets": np.arange(images) % 3,
        "weights": np.full(images, 1 / images, dtype),
        "random": np.array([0, 0], np.uint64),
    }


class Doubled(layers.Layer):
    """A layer of one's own."""

    def call(self, x):
        return 2 * x

    def gradient(self, x, delta):
        return 2 * delta


@pytest.mark.parametrize("mode", ["predict", "evaluate", "train"])
def test_stages_are_those_of_the_plan_in_order(mode):
    program = compiled(small_network(dropout=0.5)).program(mode, (6, 6, 1))
    stages = profiler.profile(program, feeds(), repeat=2)
    plan = executable(program, 16).plan
    assert [stage.name for stage in stages] == [name for name, _, _ in plan.take_profile()]
    assert all(stage.seconds >= 0 for stage in stages)
    assert all(stage.threads == config.threads() for stage in stages)

    names = [stage.name for stage in stages]
    forward = names.index("conv2d: conv + add_bias + max_pool + activation")
    assert names.index("input: to blocks") < forward < names.index("dense: dense + add_bias")
    assert ("dropout: dropout" in names) == (mode == "train")
    assert any(name.endswith("conv_kernel_gradient") for name in names) == (mode == "train")


def test_operations_are_two_for_each_multiply_add():
    model = compiled(small_network())
    program = model.program("predict", (6, 6, 1))
    convolution, dense = 4 * 4 * 3 * 3 * 1 * 4, 2 * 2 * 4 * 3
    by_name = {stage.name: stage for stage in profiler.profile(program, feeds(16), repeat=1)}
    stage = by_name["conv2d: conv + add_bias + max_pool + activation"]
    assert stage.operations == 16 * 2 * convolution
    assert profiler.count_operations(program, 16) == 16 * 2 * (convolution + dense)
    # training: forward, both kernel gradients, one input gradient, and a sum for each bias
    training = profiler.count_operations(model.program("train", (6, 6, 1)), 16)
    assert training >= 16 * 2 * (2 * convolution + 3 * dense)


def test_rate_is_that_of_a_thread():
    assert profiler.StageTime("a", seconds=0.5, operations=8e9, threads=4).rate == 4e9
    assert profiler.StageTime("a", seconds=0.0, operations=0.0, threads=4).rate == 0


@pytest.mark.parametrize("threads", [1, 3])
def test_any_number_of_threads(settings, threads):
    settings.set_threads(threads)
    program = compiled(small_network()).program("train", (6, 6, 1))
    assert {stage.threads for stage in profiler.profile(program, feeds(), 1)} == {threads}


def test_python_code_of_ones_own_is_a_stage_between_the_others():
    model = Sequential(
        [
            layers.Input((6, 6, 1)),
            layers.Flatten(),
            Doubled(name="doubled"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    program = compiled(model).program("train", (6, 6, 1))
    names = [stage.name for stage in profiler.profile(program, feeds(), repeat=2)]
    assert names.count("doubled: python (Python)") == 1
    assert names.index("doubled: python (Python)") < names.index("dense: dense + add_bias")


def test_profiling_changes_no_result_and_ends():
    program = compiled(small_network()).program("train", (6, 6, 1))
    plain = executable(program, 16).run(feeds())
    profiler.profile(program, feeds(), repeat=1)
    again = executable(program, 16).run(feeds())
    for name, array in plain.items():
        np.testing.assert_array_equal(array, again[name])
    assert all(seconds == 0 for _, seconds, _ in executable(program, 16).plan.take_profile())


ONLY_NATIVE = r"^profile: only the native executor can be profiled; "


def test_only_the_native_executor_can_be_profiled(settings):
    program = compiled(small_network("float64")).program("predict", (6, 6, 1))
    why = r"this network computes in float64, which the reference executor runs$"
    with pytest.raises(ValueError, match=ONLY_NATIVE + why):
        profiler.profile(program, feeds(dtype=np.float64))

    settings.set_executor("reference")
    program = compiled(small_network()).program("predict", (6, 6, 1))
    with pytest.raises(ValueError, match=ONLY_NATIVE + r"the executor is set to 'reference'$"):
        profiler.profile(program, feeds())


@pytest.mark.parametrize("repeat", [0, 1.5])
def test_repeat_is_a_positive_integer(repeat):
    program = compiled(small_network()).program("predict", (6, 6, 1))
    with pytest.raises(ValueError, match="profile: repeat must be an integer of at least 1, got "):
        profiler.profile(program, feeds(), repeat=repeat)


def test_peak(monkeypatch):
    monkeypatch.setattr(profiler, "PRODUCT_SIZE", 64)
    for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    peak = profiler.matrix_product_peak()
    assert peak.rate > 0
    assert peak.threads == 1
    assert peak.processors > 0
    assert profiler.Peak(rate=6e9, threads=3, processors=3).rate_per_thread == 2e9
