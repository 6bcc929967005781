"""How soon after the start of its process a network reads 99 % of MNIST's test images right.

The clock starts with the process and stops when training ends: Python's start, the imports, reading
60,000 images, and the training count; testing comes after it. The recipe was chosen on validation
images: two convolutions, batch normalization behind the poolings, which leave it little to do, one
epoch with batches of 96, SGD with a rate that rises to 0.2 and falls along half a cosine.

PyTorch and Keras do the same with as many threads, if they are installed: each run of each in
a process of its own, in turn. It prints for each the seconds, those of the processors, which count
where the machine has other work, and the accuracy; and the means.

    python examples/time_to_99.py FOLDER                  # with MNIST's four IDX files
    python examples/time_to_99.py FOLDER --python PATH    # a Python that has PyTorch and Keras

On two cores convlet takes 2.4 s for 99.09 %, the means of three seeds, PyTorch 6.8 s for 99.05 %
and Keras on TensorFlow 11.4 s for 99.05 %. Where others compute, the clock says little, and
PyTorch's threads spend most of their time waiting: ``--threads 1`` then compares
the processors' seconds.
"""

import argparse
import gzip
import os
import statistics
import subprocess
import sys
import time
from math import cos, pi
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parents[2] / "shared/data/mnist"  # beside the checkout
FILTERS, BATCH, EPOCHS, RATE, MOMENTUM, RISING = (16, 32), 96, 1, 0.2, 0.9, 0.2
LIBRARIES = ["convlet", "torch", "keras"]


def main():
    """Start a process for each library and seed, in turn, and tell what they reached."""
    options = parse_arguments()
    try:
        read(options.folder, "t10k")
    except (OSError, ValueError) as error:
        sys.exit(f"This needs MNIST, four IDX files in a folder: {error}")
    results = {library: [] for library in options.libraries}
    for seed in range(options.seeds):
        for library in list(results):
            answer = run(library, seed, options)
            if answer is None:
                del results[library]
                continue
            results[library].append(answer)
            line = "{:<8} seed {}: {:6.2f} s, of processors {:6.2f} s, accuracy {:.2f} %"
            print(line.format(library, seed, *answer), flush=True)
    print("\nMeans of all seeds, and the least accuracy:")
    for library, answers in results.items():
        seconds, processor_seconds, accuracy = map(statistics.mean, zip(*answers, strict=True))
        print(
            f"{library:<8} {seconds:6.2f} s, of processors {processor_seconds:6.2f} s, "
            f"accuracy {accuracy:.2f} % ({min(answer[2] for answer in answers):.2f} %)"
        )


def parse_arguments():
    """Return what was asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", default=FOLDER, help="where MNIST's four files are")
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=LIBRARIES)
    parser.add_argument("--python", default=sys.executable, help="one that has torch and keras")
    parser.add_argument("--seeds", type=int, default=5, help="how often each trains (5)")
    parser.add_argument("--threads", type=int, default=2, help="for each library (2)")
    parser.add_argument("--limit", type=int, help="take so many images, for a trial")
    options = parser.parse_args()
    for name in ("seeds", "threads", "limit"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1")
    return options


def run(library, seed, options):
    """Return seconds to the end of training, the processors' seconds, and test accuracy."""
    python = sys.executable if library == "convlet" else options.python
    threads = str(options.threads)
    names = "CONVLET_THREADS", "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"
    quiet = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    arguments = [library, options.folder, seed, options.limit or 60_000]
    start = time.perf_counter()
    try:
        process = subprocess.Popen(
            [python, __file__, "--work", *map(str, arguments)],
            env=os.environ | dict.fromkeys(names, threads) | quiet,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    except OSError as error:
        print(f"{library:<8} did not run: {error}", flush=True)
        return None
    with process:
        processor_seconds = process.stdout.readline()
        seconds = time.perf_counter() - start
        accuracy, errors = process.communicate()
    if process.returncode:
        print(f"{library:<8} did not run: {errors.strip().splitlines()[-1]}", flush=True)
        return None
    return seconds, float(processor_seconds), float(accuracy)


def work():
    """Train and test in this process, and say when training is over."""
    library, folder, seed, limit = sys.argv[2:]
    train = {"convlet": with_convlet, "torch": with_torch, "keras": with_keras}[library]
    x, y = (array[: int(limit)] for array in read(folder, "train"))
    steps = -(-len(x) // BATCH) * EPOCHS
    predict = train(x, y, int(seed), steps)
    print(sum(os.times()[:2]), flush=True)
    x, y = read(folder, "t10k")
    print(100 * np.mean(predict(x) == y))


def read(folder, part):
    """Return images and labels; as little as can be done, and the same for all."""
    arrays = []
    for kind, start, shape in ("images-idx3", 16, (-1, 28, 28, 1)), ("labels-idx1", 8, (-1,)):
        path = Path(folder) / f"{part}-{kind}-ubyte"
        packed = Path(f"{path}.gz")
        data = path.read_bytes() if path.exists() else gzip.decompress(packed.read_bytes())
        arrays.append(np.frombuffer(bytearray(data), np.uint8, offset=start).reshape(shape))
    return arrays


def with_convlet(x, y, seed, steps):
    """Return a function that predicts."""
    import convlet
    from convlet import layers, optimizers

    convlet.utils.set_random_seed(seed)
    model = network_of(convlet.Sequential, layers)
    fit(model, optimizers, optimizers.schedules.CosineDecay, x, y, steps)
    return lambda x: model.predict(x, verbose=0).argmax(axis=1)


def with_keras(x, y, seed, steps):
    """Return a function that predicts."""
    import keras

    keras.utils.set_random_seed(seed)
    model = network_of(keras.Sequential, keras.layers)
    fit(model, keras.optimizers, keras.optimizers.schedules.CosineDecay, x, y, steps)
    return lambda x: model.predict(x, verbose=0).argmax(axis=1)


def network_of(model, layers):
    """Return the network: convlet's and Keras's words for it are the same."""
    convolutions = []
    for filters in FILTERS:
        convolutions += [
            layers.Conv2D(filters, 5, use_bias=False),
            layers.MaxPooling2D(2),
            layers.BatchNormalization(momentum=0.9),
            layers.Activation("relu"),
        ]
    last = layers.Flatten(), layers.Dense(10, activation="softmax")
    return model([layers.Input((28, 28, 1)), layers.Rescaling(1 / 255), *convolutions, *last])


def fit(model, optimizers, cosine, x, y, steps):
    """Train, in convlet's and Keras's words."""
    up = int(RISING * steps)
    rate = cosine(0.0, steps - up, warmup_target=RATE, warmup_steps=up)
    sgd = optimizers.SGD(rate, momentum=MOMENTUM, nesterov=True)
    model.compile(sgd, "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0)


def with_torch(x, y, seed, steps):
    """Return a function that predicts."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    parts, channels = [], 1
    for filters in FILTERS:
        convolution = nn.Conv2d(channels, filters, 5, bias=False)
        parts += [convolution, nn.MaxPool2d(2), nn.BatchNorm2d(filters, 1e-3), nn.ReLU()]
        channels = filters
    model = nn.Sequential(*parts, nn.Flatten(), nn.Linear(channels * 16, 10))
    model = model.to(memory_format=torch.channels_last)
    sgd = torch.optim.SGD(model.parameters(), RATE, momentum=MOMENTUM, nesterov=True)
    up = int(RISING * steps)
    rate = torch.optim.lr_scheduler.LambdaLR(
        sgd, lambda s: s / up if s < up else (1 + cos(pi * (s - up) / (steps - up))) / 2
    )

    def images(x):
        return torch.from_numpy(x.transpose(0, 3, 1, 2)).float() / 255

    x, y = images(x), torch.from_numpy(y.astype(np.int64))
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(BATCH):
            sgd.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            sgd.step()
            rate.step()
    model.eval()
    with torch.no_grad():
        return lambda x: np.concatenate(
            [model(part).argmax(1).numpy() for part in images(x).split(1000)]
        )


if __name__ == "__main__":
    work() if sys.argv[1:2] == ["--work"] else main()
