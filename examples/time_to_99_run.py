"""One run of examples/time_to_99.py in a process of its own: LIBRARY FOLDER SEED IMAGES.

It trains and says how many seconds of the processors that took; then it tests and says how well.
No library is imported that the run does not need.
"""

import gzip
import os
import sys
from math import cos, pi
from pathlib import Path

import numpy as np

FILTERS, BATCH, EPOCHS, RATE, MOMENTUM, RISING = (16, 32), 96, 1, 0.2, 0.9, 0.2


def main():
    """Train and test, and say when training is over."""
    library, folder, seed, limit = sys.argv[1:]
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
    main()
