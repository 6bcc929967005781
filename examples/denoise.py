"""What does a cleaned version of this sound look like? A network that takes noise off speech.

Lecture 004 asks it ("1D - sound"). To spoken digits white noise is added, anew in each epoch, and
the network learns to give back what was there before: the target is the clean waveform, the loss
the mean squared error. It is made like those that take voices apart (Luo and Mesgarani,
*Conv-TasNet*, 2019): a convolution with stride 8 turns 40 samples into 96 numbers, a transposed one
turns such numbers into sound again, and in between each is multiplied by 0 to 1, which residual
blocks decide, whose taps lie ever farther apart, up to 0.13 s to look at.

It prints by how many decibels the power of what is wrong falls, inside the words of the test part,
which are 0, 5 and 10 decibels louder than the noise. Beside it stand `scipy.signal.wiener` and the
same idea in the spectrogram, each by the settings that are best, for each noise, on recordings of
the training part. What the network is like was chosen by ``--validate``, which trains on takes 10
to 49, is judged by takes 5 to 9 and does not look at the test part.

    python examples/denoise.py FOLDER --out sounds    # with the recordings, or nothing: downloaded

Of words 0, 5 and 10 dB above the noise the network takes off 9.0, 7.1 and 5.3 dB (two seeds, equal
to 0.03), the spectrogram 8.6, 6.8 and 5.3, the Wiener filter 5.5, 4.3 and 2.9. What the spectrogram
leaves are tones here and there, what the network leaves is fainter (``--plot``). It takes 3 minutes
of the processor's time.
"""

import argparse
from pathlib import Path

import numpy as np
import plots
from denoising import METHODS, best, gain, spectrogram
from sounds import Progress, positive, spoken_digits, with_noise, write_wav

from convlet import Model, utils
from convlet.datasets.fsdd import SAMPLE_RATE
from convlet.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv1D,
    Conv1DTranspose,
    Input,
    Multiply,
)
from convlet.optimizers import Adam
from convlet.optimizers.schedules import CosineDecay

LENGTH, TRAINED = 8000, slice(1952, 6048)  # samples; those that the network is trained on
TAKES, VALIDATION = 45, 5  # of each speaker and digit in the training part; held out of these
CODE, TAPS, STRIDE, FILTERS, DILATIONS = 96, 40, 8, 48, (1, 2, 4, 8, 16, 32)
BATCH, RATE = 16, 0.003
LEVELS, SHOWN = (0, 5, 10), 5  # decibels; of what is written and drawn
TUNING = 15  # of so many training recordings one, for these


def main():
    """Train, then compare at each level of noise."""
    options = parse_arguments()
    training, judge = read(options)
    part = "takes 5 to 9" if options.validate else "the test part"
    print(f"{len(training):,} recordings to train on; {len(judge):,}, {part}, to be judged by\n")
    models = [trained(seed, training[:, TRAINED], options.epochs) for seed in range(options.seeds)]
    print("\nGain in decibels, the mean of the recordings")
    print(f"{'noise':>8}{'Wiener filter':>18}{'spectrogram':>18}{'network':>18}")
    shown = {}
    for level in LEVELS:
        noisy = with_noise(judge, level, np.random.default_rng(2))
        heard = {"clean": judge, "noisy": noisy}
        for name, method, settings in METHODS:
            setting = best(method, settings, training[::TUNING], level)
            heard[name] = method(noisy, setting)
        cells = [f"{gain(judge, noisy, heard[name]):18.2f}" for name, *_ in METHODS]
        of_models = [cleaned(model, noisy) for model in models]
        gains = [gain(judge, noisy, sounds) for sounds in of_models]
        spread = f"  ({min(gains):.2f} to {max(gains):.2f})" if len(gains) > 1 else ""
        print(f"{level:5} dB{''.join(cells)}{np.mean(gains):18.2f}{spread}", flush=True)
        if level == SHOWN:
            heard["network"] = of_models[0]
            shown = {name: sounds[len(judge) // 2] for name, sounds in heard.items()}
    if options.out:
        for name, sound in shown.items():
            write_wav(options.out / f"{name.replace(' ', '-')}.wav", sound, SAMPLE_RATE)
        print(f"Sounds: {options.out}")
    if options.plot:
        draw(shown, options.plot)


def parse_arguments():
    """Return what was asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="the recordings' folder; by default downloaded")
    parser.add_argument("--seeds", type=int, default=2, help="how often to train (2)")
    parser.add_argument("--epochs", type=int, default=6, help="how long (6)")
    parser.add_argument("--every", type=int, default=1, help="of so many recordings one")
    parser.add_argument("--validate", action="store_true", help="hold takes 5 to 9 out for choices")
    parser.add_argument("--out", type=Path, help="write a recording, noisy and cleaned, here")
    plots.add_option(parser)
    options = parser.parse_args()
    positive(parser, options, "seeds", "epochs", "every")
    plots.check(parser, options.plot)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)  # now, not after the training
    return options


def read(options):
    """Return recordings to train on and to be judged by, their words of effective value 1."""
    (training, _), (test, _) = spoken_digits(options.folder, LENGTH)
    parts = training, test
    if options.validate:
        held_out = np.arange(len(training)) % TAKES < VALIDATION  # by digit, speaker and take
        parts = training[~held_out], training[held_out]
    few = (part[:: options.every] for part in parts)
    return [x / np.sqrt(np.mean(x**2, axis=1, where=x != 0, keepdims=True)) for x in few]


def trained(seed, clean, epochs):
    """Return a network that was trained on the recordings with new noise in each epoch."""
    utils.set_random_seed(seed)
    generator = np.random.default_rng(seed)
    model = network()
    model.compile(Adam(CosineDecay(RATE, epochs * -(-len(clean) // BATCH))), "mean_squared_error")
    progress = Progress(f"seed {seed}")
    for epoch in range(epochs):
        noisy = with_noise(
            clean, generator.uniform(min(LEVELS), max(LEVELS), len(clean)), generator
        )
        size = loudness(noisy)
        x, y = (noisy / size)[..., np.newaxis], (clean / size)[..., np.newaxis]
        given = {"epochs": epoch + 1, "initial_epoch": epoch, "verbose": 0}
        model.fit(x, y, BATCH, callbacks=[progress], **given)
    return model


def network():
    """Return the network; a waveform of any length that the stride divides goes in and out."""
    noisy = Input((None, 1))
    code = Conv1D(CODE, TAPS, strides=STRIDE, padding="same", use_bias=False)(noisy)
    y = Conv1D(FILTERS, 1)(BatchNormalization()(Activation("relu")(code)))
    for dilation in DILATIONS:
        z = Conv1D(FILTERS, 3, dilation_rate=dilation, padding="same", use_bias=False)(y)
        z = Activation("relu")(BatchNormalization()(z))
        y = Add()([y, Conv1D(FILTERS, 1)(z)])
    mask = Conv1D(CODE, 1, activation="sigmoid")(Activation("relu")(y))
    sound = Conv1DTranspose(1, TAPS, strides=STRIDE, padding="same", use_bias=False)
    return Model(noisy, sound(Multiply()([code, mask])))


def cleaned(model, noisy):
    """Return what the network makes of recordings, which it is given in one loudness."""
    size = loudness(noisy)
    return model.predict((noisy / size)[..., np.newaxis], verbose=0)[..., 0] * size


def loudness(x):
    """Return the effective value of each recording."""
    return np.sqrt(np.mean(x**2, axis=1, keepdims=True))


def draw(shown, path):
    """Draw spectrograms of a recording: clean, noisy, and cleaned in each way."""
    from matplotlib import pyplot

    figure, all_axes = pyplot.subplots(
        len(shown), sharex=True, figsize=(6, 9), layout="constrained"
    )
    for axes, (name, sound) in zip(all_axes, shown.items(), strict=True):
        axes.pcolormesh(*spectrogram(sound, SAMPLE_RATE), vmin=-60, vmax=0, rasterized=True)
        axes.set(title=name, ylabel="Hz")
    all_axes[-1].set(xlabel="s")
    figure.savefig(path)
    print(f"Picture: {path}")


if __name__ == "__main__":
    main()
