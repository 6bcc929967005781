"""``convlet bench``: what it says; no time is asserted."""

import re

import pytest

from convlet import Sequential, config, layers, load_model
from convlet.engine import profiler

pytest_plugins = ("cli_fixtures",)

QUICK = ("--network", "small-lenet", "--batch-size", 16, "--repeat", 2)
NUMBER = r"[\d.,]+"


@pytest.fixture(autouse=True)
def peak(monkeypatch):
    """Give a peak without measuring one."""
    monkeypatch.setattr(profiler, "matrix_product_peak", lambda: profiler.Peak(80e9, 4, 3.9))


def test_speed(convlet):
    result = convlet("bench", *QUICK, "--threads", 1)
    assert (result.exit_code, result.stderr) == (0, "")
    assert re.fullmatch(
        "Network:  small-lenet, 53,002 parameters\n"
        "Step:     train, 16 samples of 8 x 8 x 1\n"
        rf"Run by:   native executor, {config.instruction_set()}, 1 thread\n"
        "Peak:     80.0 GFLOP/s on 4 threads: NumPy's float32 product of two 2048 x 2048 "
        "matrices, in this run\n\n"
        rf"Time:     {NUMBER} ms a step, the median of 2; "
        rf"half of them took {NUMBER} to {NUMBER} ms\n"
        rf"Samples:  {NUMBER} a second\n"
        rf"Speed:    {NUMBER} GFLOP/s, {NUMBER} GFLOP a step, \d+% of the peak on 1 thread\n",
        result.output,
    )


def test_default_is_the_lectures_network(convlet):
    output = convlet("bench", "--repeat", 1, "--mode", "predict").output
    assert output.startswith(
        "Network:  lenet-20-50-500, 431,080 parameters\n"
        "Step:     predict, 500 samples of 28 x 28 x 1\n"
    )


def stages_of(output):
    """Return the lines of the profile as (numbers and bar, name)."""
    *_, table = output.split("\n\n")
    head, *lines = table.splitlines()
    assert head.split() == ["ms", "%", "GFLOP/s", "peak", "stage"]
    start = head.index("stage")
    return [(line[:start], line[start:]) for line in lines]


@pytest.mark.parametrize("mode", ["train", "predict"])
@pytest.mark.parametrize("batch_size", [1, 16])
def test_profile_has_a_line_for_each_stage(convlet, mode, batch_size):
    arguments = ("--mode", mode, "--batch-size", batch_size)
    result = convlet("bench", *QUICK, *arguments, "--profile")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "GFLOP/s and the share of the peak those of one thread" in result.output
    rows = stages_of(result.output)
    names = [name for _, name in rows]
    assert names[-2:] == ["the rest: optimizer, handing over arrays, waiting", "total"]
    assert names.index("input: to blocks") < names.index("dense: dense + add_bias + activation")
    assert any("conv_kernel_gradient" in name for name in names) == (mode == "train")
    shares = [float(numbers.split()[1]) for numbers, _ in rows]
    assert sum(shares[:-1]) == pytest.approx(100, abs=0.05 * len(shares) + 0.1)
    assert shares[-1] == 100


def test_longest_stage_has_the_longest_bar(convlet):
    rows = stages_of(convlet("bench", *QUICK, "--profile").output)[:-1]
    times = [float(numbers.split()[0]) for numbers, _ in rows]
    bars = [max(numbers.count("█"), numbers.count("#")) for numbers, _ in rows]
    assert max(bars) == 16
    assert bars[times.index(max(times))] == 16


def test_saved_network_is_left_as_it_is(convlet, trained):
    before = trained.read_bytes()
    result = convlet("bench", "--network", trained, "--batch-size", 4, "--repeat", 1, "--profile")
    assert result.exit_code == 0
    assert "Step:     train, 4 samples of 8 x 8 x 1\n" in result.output
    assert trained.read_bytes() == before
    assert load_model(trained).state.iterations == 12


@pytest.mark.parametrize("loss", [None, "mse", "categorical_crossentropy"])
def test_any_network_and_open_sizes(convlet, loss):
    model = Sequential([layers.Input((None, 3)), layers.Conv1D(2, 5), layers.Activation("softmax")])
    if loss is not None:
        model.compile("sgd", loss)
    model.save("signal.safetensors")
    result = convlet("bench", "--network", "signal.safetensors", "--repeat", 1, "--profile")
    assert result.exit_code == 0
    assert "Step:     train, 500 samples of 32 x 3, 32 for open sizes\n" in result.output


def test_busy_machine_is_warned_of(convlet, monkeypatch):
    monkeypatch.setattr(profiler, "matrix_product_peak", lambda: profiler.Peak(80e9, 4, 2.54))
    assert convlet("bench", *QUICK).stderr == (
        "Warning: the machine is busy: NumPy was given 2.5 of 4 processors. Times, peak and shares "
        "tell little\n"
    )


def test_threads_are_put_back(convlet):
    before = config.threads()
    assert "3 threads\n" in convlet("bench", *QUICK, "--threads", 3).output
    assert config.threads() == before


@pytest.fixture
def reference():
    before = config.executor()
    config.set_executor("reference")
    yield
    config.set_executor(before)


def test_reference_executor_has_a_time_but_no_profile(convlet, reference):
    output = convlet("bench", *QUICK).output
    assert "Run by:   reference executor\n" in output
    assert output.endswith("Speed:    only the native executor counts operations\n")
    result = convlet("bench", *QUICK, "--profile")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: profile: only the native executor can be profiled; the executor is set to "
        "'reference'\n"
    )


def test_float64_has_a_time_but_no_profile(convlet):
    options = {"dtype": "float64"}
    Sequential([layers.Input((4,), **options), layers.Dense(2, **options)]).save("64.safetensors")
    arguments = ("bench", "--network", "64.safetensors", "--mode", "predict", "--repeat", 1)
    assert "Run by:   reference executor\n" in convlet(*arguments).output
    result = convlet(*arguments, "--profile")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: profile: only the native executor can be profiled; this network computes in "
        "float64, which the reference executor runs\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ("--network", "lenet"),
            2,
            "'lenet' is neither small-lenet, lecture-lenet, lenet-20-50-500",
        ),
        (("--network", "absent.safetensors"), 1, "absent.safetensors: No such file or directory"),
        (("--batch-size", 0), 2, "Invalid value for '--batch-size'"),
        (("--mode", "evaluate"), 2, "Invalid value for '--mode'"),
        (("--threads", 0), 2, "Invalid value for '--threads'"),
        (("--repeat", 0), 2, "Invalid value for '--repeat'"),
    ],
)
def test_wrong_arguments(convlet, arguments, code, message):
    result = convlet("bench", *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
