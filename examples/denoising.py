"""What denoising is worth, and two ways of it without a network, for examples/denoise.py."""

import sys

import numpy as np
from sounds import with_noise

try:
    from scipy import signal
except ImportError:
    sys.exit("This needs SciPy: pip install scipy")

WINDOWS = (3, 5, 7, 9, 11, 13)  # samples, of the Wiener filter
FACTORS = (1, 1.5, 2, 2.5, 3, 4)  # of the noise that is taken off the spectrogram


def gain(clean, noisy, result):
    """Return by how many decibels the wrong power falls inside words, the mean of sounds."""
    before, after = (np.sum((x - clean) ** 2, axis=1, where=clean != 0) for x in (noisy, result))
    return float(np.mean(10 * np.log10(before / after)))


def wiener(noisy, window):
    """Return what the Wiener filter makes of sounds, by mean and variance of each window."""
    return np.stack([signal.wiener(sound, window) for sound in noisy])


def subtraction(noisy, factor):
    """Return sounds without the noise's power, times a factor, in each cell of a spectrogram.

    Noise alone has exponential powers, whose median is ln 2 of the mean, and most cells are that.
    """
    _, _, cells = signal.stft(noisy, nperseg=512)
    power = np.abs(cells) ** 2
    noise = np.median(power, axis=(1, 2), keepdims=True) / np.log(2)
    kept = np.maximum(1 - factor * noise / np.maximum(power, 1e-12), 0)
    return signal.istft(cells * kept, nperseg=512)[1][:, : noisy.shape[1]]


METHODS = (("Wiener filter", wiener, WINDOWS), ("spectrogram", subtraction, FACTORS))


def best(method, settings, clean, level):
    """Return the setting with the largest gain."""
    noisy = with_noise(clean, level, np.random.default_rng(1))
    return max(settings, key=lambda setting: gain(clean, noisy, method(noisy, setting)))


def spectrogram(sound, rate):
    """Return seconds, frequencies in Hz, and decibels of a sound, for a picture."""
    hertz, seconds, cells = signal.stft(sound, rate, nperseg=256, noverlap=192)
    return seconds, hertz, 20 * np.log10(np.abs(cells) + 1e-3)
