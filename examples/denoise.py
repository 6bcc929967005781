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

from pathlib import Path

import numpy as np
import plots
import sounds
from command_line import parser_of
from denoising import METHODS, best, gain, spectrogram
from training import adam, fit_anew

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

LENGTH, TRAINED = 8000, slice(1952, 6048)  # samples; those that the network is trained on
CODE, TAPS, STRIDE, FILTERS, DILATIONS = 96, 40, 8, 48, (1, 2, 4, 8, 16, 32)
BATCH, RATE = 16, 0.003
LEVELS, SHOWN = (0, 5, 10), 5  # decibels; of what is written and drawn
TUNING = 15  # of so many training recordings one, for these


def main():
    """Train, then compare at each level of noise."""
    options = parse_arguments()
    parts = sounds.spoken_digits(options.folder, LENGTH)
    parts = sounds.judged_by(parts, options.validate, options.every)
    training, judge = [x / sounds.loudness(x, where=x != 0) for x, _ in parts]
    models = [trained(seed, training[:, TRAINED], options.epochs) for seed in range(options.seeds)]
    print("\nGain in decibels, the mean of the recordings")
    print(f"{'noise':>8}{'Wiener filter':>18}{'spectrogram':>18}{'network':>18}")
    for level in LEVELS:
        noisy = sounds.with_noise(judge, level, np.random.default_rng(2))
        heard = {"clean": judge, "noisy": noisy}
        for name, method, settings in METHODS:
            heard[name] = method(noisy, best(method, settings, training[::TUNING], level))
        cells = [f"{gain(judge, noisy, heard[name]):18.2f}" for name, *_ in METHODS]
        of_models = [cleaned(model, noisy) for model in models]
        gains = [gain(judge, noisy, sound) for sound in of_models]
        spread = f"{np.mean(gains):18.2f} ({min(gains):.2f} to {max(gains):.2f})"
        print(f"{level:5} dB{''.join(cells)}{spread}", flush=True)
        if level == SHOWN:
            heard["network"] = of_models[0]
            shown = {name: sound[len(judge) // 2] for name, sound in heard.items()}
    if options.out:
        for name, sound in shown.items():
            sounds.write_wav(options.out / f"{name.replace(' ', '-')}.wav", sound, SAMPLE_RATE)
        print(f"Sounds: {options.out}")
    if options.plot:
        draw(shown, options.plot)


def parse_arguments():
    """Return what was asked for on the command line."""
    parser = parser_of(
        __doc__, plot=True, seeds=2, epochs=6, every=(1, "of so many recordings one")
    )
    sounds.add_folder(parser)
    parser.add_argument("--validate", action="store_true", help="hold takes 5 to 9 out for choices")
    parser.add_argument("--out", type=Path, help="write a recording, noisy and cleaned, here")
    options = parser.parse_args()
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)  # now, not after the training
    return options


def trained(seed, clean, epochs):
    """Return a network that was trained on the recordings with new noise in each epoch."""
    utils.set_random_seed(seed)
    generator = np.random.default_rng(seed)
    model = network()
    model.compile(adam(RATE, epochs, len(clean), BATCH), "mean_squared_error")

    def noisy_and_clean():
        levels = generator.uniform(min(LEVELS), max(LEVELS), len(clean))
        noisy = sounds.with_noise(clean, levels, generator)
        size = sounds.loudness(noisy)
        return (noisy / size)[..., np.newaxis], (clean / size)[..., np.newaxis]

    fit_anew(model, noisy_and_clean, epochs, BATCH, f"seed {seed}")
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
    size = sounds.loudness(noisy)
    return model.predict((noisy / size)[..., np.newaxis], verbose=0)[..., 0] * size


def draw(shown, path):
    """Draw spectrograms of a recording: clean, noisy, and cleaned in each way."""
    figure = plots.figure(6, 9)
    all_axes = figure.subplots(len(shown), sharex=True)
    for axes, (name, sound) in zip(all_axes, shown.items(), strict=True):
        axes.pcolormesh(*spectrogram(sound, SAMPLE_RATE), vmin=-60, vmax=0, rasterized=True)
        axes.set(title=name, ylabel="Hz")
    all_axes[-1].set(xlabel="s")
    plots.save(figure, path)


if __name__ == "__main__":
    main()
