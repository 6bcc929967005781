"""What the examples on sound share: spoken digits, noise and WAV files."""

import sys
import wave

import numpy as np

from convlet.datasets import fsdd

TAKES, HELD_OUT = 45, 5  # of each speaker and digit in the training part; of these for choices


def spoken_digits(folder, length):
    """Return the spoken digits, (x, labels) for training and for testing, as `fsdd.load_data`.

    Here each recording lies in the middle of its ``length`` samples, with silence around it.
    """
    try:
        parts = fsdd.load_data(folder, length=length)
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f"This needs the Free Spoken Digit Dataset: {error}")
    return [(np.array([centred(sound) for sound in x]), labels) for x, labels in parts]


def judged_by(parts, validate, every):
    """Return parts to train on and to be judged by, one recording of ``every``, and their name.

    They are the training part and the test part, or, to make choices by without a look at the test
    part, takes 10 to 49 and 5 to 9 of the training part.
    """
    if validate:
        x, labels = parts[0]
        held_out = np.arange(len(x)) % TAKES < HELD_OUT  # ordered by digit, speaker and take
        parts = [(x[part], labels[part]) for part in (~held_out, held_out)]
    parts = [(x[::every], labels[::every]) for x, labels in parts]
    name = "takes 5 to 9" if validate else "the test part"
    sizes = [f"{len(x):,}" for x, _ in parts]
    print(f"{sizes[0]} recordings to train on; {sizes[1]}, {name}, to be judged by\n")
    return parts


def add_folder(parser):
    """Let the command line name the recordings' folder."""
    parser.add_argument("folder", nargs="?", help="the recordings' folder; by default downloaded")


def centred(sound):
    """Return a sound that ends in zeros with these shared out between both ends."""
    return np.roll(sound, (len(sound) - 1 - np.flatnonzero(sound)[-1]) // 2)


def loudness(sounds, where=True):
    """Return the effective value of each sound, (sounds, 1), of all samples or some."""
    return np.sqrt(np.mean(sounds**2, axis=1, where=where, keepdims=True))


def with_noise(clean, level, generator):
    """Return sounds with white noise; ``level`` may be one for each of them."""
    noise = generator.standard_normal(clean.shape, np.float32)
    return clean + noise * np.float32(10) ** (-np.reshape(level, (-1, 1)) / np.float32(20))


def write_wav(path, sound, rate):
    """Write a sound as a WAV file of 16 bits, its peak at 90 % of full scale."""
    samples = np.round(sound * (0.9 * 32767 / max(np.abs(sound).max(), 1e-9))).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
