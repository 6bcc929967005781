"""Tones like those of voices, for the example that hears their pitch."""

import numpy as np
from sounds import loudness

RATE, LENGTH = 8000, 1024  # samples a second; of a tone
LOW, HIGH = 80, 640  # Hz: three octaves
HARMONICS = 12


def cents(hertz):
    """Return pitch in cents, hundredths of a semitone, above `LOW`."""
    return 1200 * np.log2(np.asarray(hertz) / LOW)


def tones(count, generator, snr):
    """Return tones, float32 of shape (count, LENGTH), and their mean pitch in cents.

    The pitch is drawn evenly from three octaves, with a vibrato of up to 50 cents to either side,
    4 to 7 times a second. There are up to 12 harmonics below half the sampling rate; two formants
    and a slope make their strengths, and in one tone of five the fundamental is missing. White
    noise is added; ``snr``, in decibels, is a number or the two ends of a range. Each tone's
    effective value is 1 in the end.
    """

    def draw(low, high, axes=1):
        return generator.uniform(low, high, (count, *[1] * axes))

    time = np.arange(LENGTH) / RATE
    centre = LOW * (HIGH / LOW) ** draw(0, 1)
    vibrato = draw(0, 50) * np.sin(2 * np.pi * (draw(4, 7) * time + draw(0, 1)))
    hertz = centre * 2 ** (vibrato / 1200)
    phase = 2 * np.pi * np.cumsum(hertz, axis=1) / RATE
    slope, formants = draw(0.3, 1.5), (draw(200, 3000), draw(200, 3000))
    sound = np.zeros((count, LENGTH))
    for h in range(1, HARMONICS + 1):
        resonance = sum(np.exp(-(((h * centre - formant) / 350) ** 2)) for formant in formants)
        strength = draw(0.1, 1) * (0.2 + resonance) / h**slope
        strength *= h * hertz.max(axis=1, keepdims=True) < RATE / 2
        if h == 1:
            strength *= draw(0, 1) < 0.8
        sound += strength * np.sin(h * phase + draw(0, 2 * np.pi))
    noise = generator.normal(size=sound.shape) * 10 ** (-draw(*np.broadcast_to(snr, 2)) / 20)
    sound = sound / loudness(sound) + noise
    return (sound / loudness(sound)).astype(np.float32), cents(hertz).mean(axis=1)


def autocorrelation(sounds, threshold):
    """Return pitches in cents by the usual formula: the shift that a tone is most alike itself at.

    Of the peaks of r(τ) = Σ x(t) x(t + τ), which is divided by the number of its products, it is
    the first that has at least ``threshold`` of the highest one's height, and a parabola through
    it and its neighbours says what lies between two samples.
    """
    spectrum = np.abs(np.fft.rfft(sounds, 2 * LENGTH)) ** 2
    products = LENGTH - np.arange(LENGTH)
    first = RATE // HIGH - 1
    r = (np.fft.irfft(spectrum)[:, :LENGTH] / products)[:, first : RATE // LOW + 2]
    before, here, after = r[:, :-2], r[:, 1:-1], r[:, 2:]
    heights = np.where((here >= before) & (here > after), here, -np.inf)
    enough = heights >= threshold * heights.max(axis=1, keepdims=True)
    row, best = np.arange(len(r)), enough.argmax(axis=1)
    left, middle, right = before[row, best], here[row, best], after[row, best]
    between = (left - right) / (2 * (left - 2 * middle + right))
    return cents(RATE / (first + 1 + best + between))
