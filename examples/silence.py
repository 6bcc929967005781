"""A filter that hears silence: lecture 004's first example of a convolution, on a recording.

The lecture slides a filter over the amplitude of a sound and puts a sigmoid behind it: σ(Σ w_i I_i)
is near 1 where there is a silence. Here the filter is made by hand: every weight is negative, so
the louder the 25 ms it looks at, the lower the sum, and the bias says how loud is loud. One
`Conv1D` does it, at all places of the recording at once.

It prints how loud the recording is and where the filter fires, the silences with their times, and
what becomes of them if the recording starts a tenth of a second later: convolution is equivariant
to translation, so they are found a tenth of a second later and are otherwise the same.

    python examples/silence.py PATH    # a WAV file of 16 bits, or the Free Spoken Digit Dataset
"""

import argparse
import sys
import wave
from pathlib import Path

import numpy as np

from convlet.layers import Conv1D

FOLDER = Path(__file__).resolve().parents[2] / "shared/data/fsdd"  # beside the checkout
RECORDING = "recordings/6_jackson_0.wav"  # "six"
WINDOW = 0.025  # seconds that the filter looks at
LOUD = 0.03  # the mean amplitude, of a largest one of 1, that is no silence any more
GAIN = 200  # how sharply the sigmoid tells them apart
SHORTEST = 0.05  # seconds; gaps between two sounds of speech are shorter
COLUMNS = 80


def main():
    """Read, convolve, print; then once more with a later start."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", nargs="?", default=FOLDER, type=Path, help="file or data set")
    path = parser.parse_args().path
    path = path / RECORDING if path.is_dir() else path
    amplitude, rate = read(path)
    found = silence(amplitude, rate)
    print(f"{path.name}: {len(amplitude) / rate:.2f} s at {rate} Hz\n")
    print(f"loudness |{drawn(amplitude)}|\nsilence  |{drawn(found)}|\n")
    spans = spans_of(found, rate)
    print(f"Silences of at least {SHORTEST} s: {written(spans, rate)}")
    later = rate // 10
    shifted = silence(np.concatenate([np.zeros(later, np.float32), amplitude]), rate)
    same = np.array_equal(shifted[later:], found)
    print(f"A tenth of a second later: {written(spans_of(shifted[later:], rate), rate, later)}")
    print(f"The filter's answers are {'the same, only later' if same else 'not the same'}.")


def read(path):
    """Return the amplitude of a recording, the largest 1, and its samples a second."""
    try:
        with wave.open(str(path)) as file:
            if (file.getsampwidth(), file.getnchannels()) != (2, 1):
                raise wave.Error("it must have one channel of 16 bits")
            rate, frames = file.getframerate(), file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        sys.exit(f"This needs a WAV file: {path}: {error or 'it ends too early'}")
    amplitude = np.abs(np.frombuffer(frames, "<i2").astype(np.float32))
    if len(amplitude) < round(WINDOW * rate):
        sys.exit(f"This needs a recording of at least {WINDOW} s: {path}")
    return amplitude / max(amplitude.max(), 1), rate


def silence(amplitude, rate):
    """Return σ(Σ w_i I_i) at each place where the whole filter lies inside the recording."""
    taps = round(WINDOW * rate)
    detector = Conv1D(filters=1, kernel_size=taps, activation="sigmoid")
    detector.ensure_built((None, None, 1))
    detector.set_weights([np.full((taps, 1, 1), -GAIN / taps), [GAIN * LOUD]])
    return detector(amplitude[None, :, None])[0, :, 0]


def drawn(values):
    """Return a line of shades, from the mean of what each column stands for."""
    parts = [part.mean() for part in np.array_split(values, COLUMNS) if len(part)]
    shades = " .:-=+*#%@"
    return "".join(shades[min(int(v / max(parts) * 10), 9)] if v else " " for v in parts)


def spans_of(found, rate):
    """Return begin and end, in samples, of the stretches that windows of silence cover."""
    covered = np.convolve(found > 0.5, np.ones(round(WINDOW * rate))) > 0
    edges = np.flatnonzero(np.diff(covered, prepend=False, append=False)).reshape(-1, 2)
    return [(begin, end) for begin, end in edges if end - begin >= SHORTEST * rate]


def written(spans, rate, later=0):
    """Return the times of some silences in words."""
    times = [f"{(b + later) / rate:.2f} to {(e + later) / rate:.2f} s" for b, e in spans]
    return ", ".join(times) or "none"


if __name__ == "__main__":
    main()
