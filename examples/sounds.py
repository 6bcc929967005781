"""What the examples on sound share: spoken digits, noise, progress and WAV files."""

import sys
import time
import wave

import numpy as np

from convlet.callbacks import Callback
from convlet.datasets import fsdd


def positive(parser, options, *names):
    """Stop unless the options of these names are at least 1."""
    for name in names:
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1")


def spoken_digits(folder, length):
    """Return the spoken digits, (x, labels) for training and for testing, as `fsdd.load_data`.

    Here each recording lies in the middle of its ``length`` samples, with silence around it.
    """
    try:
        parts = fsdd.load_data(folder, length=length)
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f"This needs the Free Spoken Digit Dataset: {error}")
    return [(np.array([centred(sound) for sound in x]), labels) for x, labels in parts]


def centred(sound):
    """Return a sound that ends in zeros with these shared out between both ends."""
    return np.roll(sound, (len(sound) - 1 - np.flatnonzero(sound)[-1]) // 2)


def with_noise(clean, level, generator):
    """Return sounds with white noise; ``level`` may be one for each of them."""
    noise = generator.standard_normal(clean.shape, np.float32)
    return clean + noise * np.float32(10) ** (-np.reshape(level, (-1, 1)) / np.float32(20))


class Progress(Callback):
    """Prints each epoch's scores and its seconds."""

    def __init__(self, title):
        self.title = title

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Print the epoch."""
        scores = ", ".join(f"{name} {value:.4f}" for name, value in logs.items())
        seconds = time.perf_counter() - self.start
        print(f"{self.title}, epoch {epoch + 1:2}: {scores}  {seconds:.1f} s", flush=True)


def write_wav(path, sound, rate):
    """Write a sound as a WAV file of 16 bits, its peak at 90 % of full scale."""
    samples = np.round(sound * (0.9 * 32767 / max(np.abs(sound).max(), 1e-9))).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
