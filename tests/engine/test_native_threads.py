"""The C++ core beside everything else in a process: float modes, forks, other Python threads."""

import os
import threading

import numpy as np
import pytest

from convlet import config
from networks import blobs, small_network

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

DENORMAL = np.float32(1e-40)


@pytest.fixture(autouse=True)
def two_threads():
    before = config.threads()
    config.set_threads(2)
    yield
    config.set_threads(before)


def trained_model(samples=200):
    model = small_network()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.train_on_batch(*blobs(samples))
    return model


def denormals_count():
    """Return whether this thread computes with numbers below the smallest normal one."""
    return bool((np.full(100, DENORMAL) * np.float32(1) == DENORMAL).all())


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_callers_denormal_numbers_count_again_after_a_run(threads):
    config.set_threads(threads)
    assert denormals_count()
    model = trained_model()
    assert denormals_count()
    model.predict(blobs(3)[0], verbose=0)
    assert denormals_count()


def test_they_count_again_after_an_error_in_between():
    model = trained_model()
    with pytest.raises(ValueError, match="train_on_batch"):
        model.train_on_batch(blobs(3)[0], np.array([0, 1, 7]))
    assert denormals_count()


def in_a_child(work):
    """Return what a forked process ends with: 0 if ``work`` returns true, 1 if not, 2 if late."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if work() else 1
        finally:
            os._exit(status)
    for _ in range(1200):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        threading.Event().wait(0.05)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return 2


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_trains_and_so_does_its_parent():
    model = trained_model()
    x, y = blobs(200, seed=1)
    start = model.get_weights()

    def step():
        model.set_weights(start)
        model.train_on_batch(x, y)
        return model.get_weights()

    expected = step()
    same = in_a_child(lambda: all(map(np.array_equal, step(), expected)))
    assert same == 0
    assert all(map(np.array_equal, step(), expected))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_of_a_child_predicts():
    model = trained_model()
    x, _ = blobs(100)
    expected = model.predict(x, verbose=0)

    def predicts():
        return np.array_equal(model.predict(x, verbose=0), expected)

    assert in_a_child(lambda: predicts() and in_a_child(predicts) == 0) == 0


def in_threads(works):
    """Call each in a thread of its own, all at once; raise what they raise."""
    start, errors = threading.Barrier(len(works)), []

    def run(work):
        try:
            start.wait()
            work()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_two_python_threads_predict_with_one_model():
    model = trained_model()
    batches = [blobs(n, seed=n)[0] for n in (1, 40, 64, 100)]
    expected = [model.predict(x, verbose=0) for x in batches]

    def predict(offset):
        for n in range(20):
            which = (n + offset) % 4
            result = model.predict(batches[which], verbose=0)
            np.testing.assert_array_equal(result, expected[which])

    in_threads([lambda: predict(0), lambda: predict(0), lambda: predict(2)])


def test_two_python_threads_with_more_sizes_of_batch_than_plans_are_kept():
    model = trained_model()
    x, _ = blobs(30)
    expected = model.predict(x, verbose=0)

    def predict(order):
        for images in order:
            result = model.predict(x[:images], verbose=0)
            np.testing.assert_array_equal(result, expected[:images])

    sizes = list(range(1, 31))
    in_threads([lambda: predict(sizes), lambda: predict(sizes[::-1]), lambda: predict(sizes)])


def test_python_threads_train_models_of_their_own():
    x, y = blobs(60)
    models = [trained_model() for _ in range(3)]
    start = models[0].get_weights()

    def train(model):
        model.set_weights(start)
        for _ in range(5):
            model.train_on_batch(x, y)

    in_threads([lambda m=m: train(m) for m in models])
    for model in models[1:]:
        for one, other in zip(models[0].get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_more_threads_than_processors_and_then_fewer():
    model, (x, _) = trained_model(), blobs(300)
    expected = model.predict(x, verbose=0)
    for threads in (1, 9, 2, 5, 1):
        config.set_threads(threads)
        np.testing.assert_array_equal(model.predict(x, verbose=0), expected)
