"""Melodies from a small grammar, and how they are written and played, for examples/melody.py.

A melody is 32 notes of a scale of two octaves, in four phrases A A B A. A phrase begins anywhere
and then goes up or down by at most three steps of the scale.
"""

import numpy as np

NAMES = ["c", "d", "e", "f", "g", "a", "b", "c'", "d'", "e'", "f'", "g'", "a'", "b'", "c''"]
SEMITONES = [12 * octave + step for octave in (0, 1) for step in (0, 2, 4, 5, 7, 9, 11)] + [24]
STEPS, CHANCES = np.arange(-3, 4), np.array([0.05, 0.1, 0.2, 0.1, 0.4, 0.1, 0.05])
PHRASE, NOTES = 8, 32
SECONDS = 0.3  # of a note that is played


def melodies(count, generator):
    """Return melodies of the form A A B A, as places in the scale, shape (count, 32)."""
    a, b = (phrases(count, generator) for _ in range(2))
    return np.concatenate([a, a, b, a], axis=1)


def phrases(count, generator):
    """Return phrases that wander in the scale; a step beyond its ends goes the other way."""
    notes = [generator.integers(0, len(NAMES), count)]
    for _ in range(PHRASE - 1):
        step = generator.choice(STEPS, count, p=CHANCES)
        outside = (notes[-1] + step < 0) | (notes[-1] + step >= len(NAMES))
        notes.append(notes[-1] + np.where(outside, -step, step))
    return np.stack(notes, axis=1)


def grammarian(notes):
    """Return the likeliest next notes for who knows the grammar: an A again, or the next step."""
    table = np.zeros((len(NAMES), len(NAMES)))
    for step, chance in zip(STEPS, CHANCES, strict=True):
        for note in range(len(NAMES)):
            following = note + step if 0 <= note + step < len(NAMES) else note - step
            table[note, following] += chance
    guesses = table.argmax(axis=1)[notes[:, :-1]]
    for begin, earlier in ((PHRASE, 0), (3 * PHRASE, 0)):
        guesses[:, begin - 1 : begin - 1 + PHRASE] = notes[:, earlier : earlier + PHRASE]
    return guesses


def written(notes):
    """Return the names of notes, with a bar between phrases."""
    phrases = [" ".join(f"{NAMES[note]:<3}" for note in part) for part in notes.reshape(-1, PHRASE)]
    return "| ".join(phrases).rstrip()


def played(notes, rate):
    """Return the notes as plucked tones, with so many samples a second."""
    time = np.arange(round(SECONDS * rate)) / rate
    hertz = [261.63 * 2 ** (SEMITONES[note] / 12) for note in notes]
    return np.concatenate([np.sin(2 * np.pi * f * time) * np.exp(-6 * time) for f in hertz])
