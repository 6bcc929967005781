"""The same bits: hashes of a network's weights after training, by threads and by batch size.

    python benchmarks/experiments/same_bits.py

Trains the lecture's LeNet of 20, 50 and 500 for some steps on made-up images with 1, 2 and 4
threads and batches of 500, 100 and 33, and prints a hash of all weights. In one row all must be
equal. The predictions of one image, alone and in batches, are hashed below.
"""

from __future__ import annotations

import hashlib

import numpy as np

from convlet import config, utils
from convlet.applications import LeNet20_50_500

STEPS = 5


def weights_after(batch: int, threads: int) -> str:
    """Return a hash of the weights after some steps."""
    config.set_threads(threads)
    utils.set_random_seed(0)
    model = LeNet20_50_500()
    model.compile("sgd", "sparse_categorical_crossentropy")
    generator = np.random.default_rng(0)
    for _ in range(STEPS):
        x = generator.random((batch, *model.input_shape[1:]), np.float32)
        model.train_on_batch(x, generator.integers(0, 10, batch))
    return digest(*model.get_weights())


def digest(*arrays: np.ndarray) -> str:
    """Return the first digits of a hash of arrays."""
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()[:16]


def main() -> None:
    """Print the hashes."""
    for name in ("x86-64", "x86-64-v3", "x86-64-v4"):
        try:
            config.set_instruction_set(name)
        except ValueError:
            continue
        for batch in (500, 100, 33):
            hashes = [weights_after(batch, threads) for threads in (1, 2, 4)]
            verdict = "equal" if len(set(hashes)) == 1 else "DIFFERENT"
            print(f"{name:10s} batch {batch:3d}, threads 1, 2, 4: {' '.join(hashes)} {verdict}")
        utils.set_random_seed(0)
        model = LeNet20_50_500()
        x = np.random.default_rng(1).random((500, *model.input_shape[1:]), np.float32)
        hashes = [digest(model.predict_on_batch(x[:n])[0]) for n in (1, 2, 15, 16, 33, 500)]
        verdict = "equal" if len(set(hashes)) == 1 else "DIFFERENT"
        print(f"{name:10s} one image alone and in batches: {hashes[0]} {verdict}")


if __name__ == "__main__":
    main()
