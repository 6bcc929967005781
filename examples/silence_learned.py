"""Is there a silence? Lecture 004's filter made by hand, beside a learned one, under noise.

The lecture makes a filter that is sensitive to silence by hand and then says that in practice
filters are learned ("1D - sound - filters"). Here are both, on sounds of two spoken digits at
random places with silence around them, 1.5 s together. What is right for each 10 ms is what
examples/silence.py's filter says of the sound before noise is added. With noise there are:

by hand      that filter, σ(Σ w_i I_i) over 25 ms of the amplitude I, whose largest is 1
bias fitted  the same with the best bias for this very noise, found on sounds of the training part
one filter   a filter of this form whose weights and bias are learned, from sounds with any noise
network      four layers of learned filters, on the waveform itself

It prints how much of the test part's sounds each gets right; nothing was chosen by that. One filter
of the amplitude can only ask how loud it is, and the answer that suits loud noise does not suit
faint noise. Several layers can ask what is louder than what lies around it, and sounds like speech.

    python examples/silence_learned.py FOLDER    # with the recordings, or nothing: downloaded

With words 10 dB above the noise the filter made by hand gets 50.3 % right, with the bias fitted
94.2 %, the learned one 90.5 %, the network 97.0 % (three seeds); at 0 dB 36.8, 82.7, 45.3 and
94.4 %; without noise 100, 100, 88.4 and 97.2 %. Guessing silence is right in 63.2 %. It takes a
minute of the processor's time.
"""

import argparse

import numpy as np
import plots
from silence import GAIN, LOUD
from sounds import Progress, positive, spoken_digits, with_noise

from convlet import Sequential, utils
from convlet.layers import Conv1D, Input
from convlet.optimizers import Adam
from convlet.optimizers.schedules import CosineDecay

WORD, LENGTH = 6000, 12000  # samples: room for one word, and for two
WINDOW, STEP = 200, 80  # samples that the filter looks at, 25 ms; between its places
LEVELS = (np.inf, 20, 10, 5, 0)  # decibels that words are louder than noise; infinitely without
BIASES = LOUD * np.geomspace(1 / 4, 32, 71)  # mean amplitudes that are no silence any more
BATCH, TESTS = 16, 300
RATES = {"one filter": 0.02, "network": 0.003}


def main():
    """Train a filter and a network for each seed, then compare."""
    options = parse_arguments()
    (words, _), (test_words, _) = spoken_digits(options.folder, WORD)
    clean = sounds(words, options.sounds, np.random.default_rng(0))
    test = sounds(test_words, TESTS, np.random.default_rng(1))
    silent = by_hand(test, LOUD) > 0.5
    print(f"{len(clean):,} sounds to learn from, {len(test)} to be judged by\n")
    models = {name: [] for name in RATES}
    for seed in range(options.seeds):
        for name in models:
            models[name].append(trained(name, seed, clean, options.epochs))
    print(f"\nRight of all 10 ms, of which {silent.mean():.1%} are silences\n")
    print(f"{'noise':<8}{'by hand':>12}{'bias fitted':>14}{'one filter':>14}{'network':>14}")
    table = {}
    for level in LEVELS:
        noisy = with_noise(test, level, np.random.default_rng(2))
        bias = fitted(
            with_noise(clean, level, np.random.default_rng(3)), by_hand(clean, LOUD) > 0.5
        )
        found = [[by_hand(noisy, LOUD)], [by_hand(noisy, bias)]]
        found += [[answers(model, noisy) for model in of_seeds] for of_seeds in models.values()]
        right = [np.mean([(answer > 0.5) == silent for answer in of_seeds]) for of_seeds in found]
        name = "none" if level == np.inf else f"{level} dB"
        print(f"{name:<8}{right[0]:12.1%}" + "".join(f"{share:14.1%}" for share in right[1:]))
        table[name] = right
    if options.plot:
        draw(table, options.plot)


def parse_arguments():
    """Return what was asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="the recordings' folder; by default downloaded")
    parser.add_argument("--seeds", type=int, default=3, help="how often to train (3)")
    parser.add_argument("--epochs", type=int, default=6, help="how long (6)")
    parser.add_argument("--sounds", type=int, default=1000, help="to learn from (1,000)")
    plots.add_option(parser)
    options = parser.parse_args()
    positive(parser, options, "seeds", "epochs", "sounds")
    plots.check(parser, options.plot)
    return options


def sounds(words, count, generator):
    """Return sounds of two words, each as loud as the other, anywhere in its half."""
    words = words / np.sqrt(np.mean(words**2, axis=1, where=words != 0, keepdims=True))
    halves = []
    for word in words[generator.integers(0, len(words), 2 * count)]:
        sounding = np.flatnonzero(word)
        room = WORD - (sounding[-1] - sounding[0]) - 1
        halves.append(np.roll(word, generator.integers(0, room + 1) - sounding[0]))
    return np.reshape(halves, (count, LENGTH))


def amplitude(noisy):
    """Return the amplitude of sounds, the largest 1, with an axis of one channel."""
    size = np.abs(noisy)
    return (size / size.max(axis=1, keepdims=True))[..., np.newaxis]


def by_hand(noisy, loud):
    """Return σ(Σ w_i I_i) of the filter made by hand, at each step."""
    detector = Conv1D(1, WINDOW, strides=STEP, padding="same", activation="sigmoid")
    detector.ensure_built((None, LENGTH, 1))
    detector.set_weights([np.full((WINDOW, 1, 1), -GAIN / WINDOW), [GAIN * loud]])
    return detector(amplitude(noisy))


def fitted(noisy, silent):
    """Return the mean amplitude that silences are best told by."""
    return max(BIASES, key=lambda loud: np.mean((by_hand(noisy, loud) > 0.5) == silent))


def trained(name, seed, clean, epochs):
    """Return a filter, or a network, that was trained with new noise in each epoch."""
    utils.set_random_seed(seed)
    generator = np.random.default_rng(seed)
    model = Sequential([Input((LENGTH, 1)), *LAYERS[name]()], name=name.replace(" ", "_"))
    steps = epochs * -(-len(clean) // BATCH)
    model.compile(Adam(CosineDecay(RATES[name], steps)), "binary_crossentropy", ["accuracy"])
    silent, progress = by_hand(clean, LOUD) > 0.5, Progress(f"{name}, seed {seed}")
    for epoch in range(epochs):
        noisy = with_noise(clean, generator.uniform(0, 30, len(clean)), generator)
        given = {"epochs": epoch + 1, "initial_epoch": epoch, "verbose": 0}
        model.fit(heard(model, noisy), silent, BATCH, callbacks=[progress], **given)
    return model


def one_filter():
    """Return the form of the filter made by hand."""
    return [Conv1D(1, WINDOW, strides=STEP, padding="same", activation="sigmoid")]


def layers():
    """Return four layers of filters, the second of which brings one place for each step."""
    return [
        Conv1D(16, 64, strides=16, padding="same", activation="relu"),
        Conv1D(32, 15, strides=5, padding="same", activation="relu"),
        Conv1D(32, 5, padding="same", dilation_rate=4, activation="relu"),
        Conv1D(1, 5, padding="same", activation="sigmoid"),
    ]


LAYERS = {"one filter": one_filter, "network": layers}


def heard(model, noisy):
    """Return what the model is given: one filter the amplitude, a network the waveform."""
    if len(model.layers) == 1:
        return amplitude(noisy)
    return (noisy / np.sqrt(np.mean(noisy**2, axis=1, keepdims=True)))[..., np.newaxis]


def answers(model, noisy):
    """Return how sure the model is at each step that there is a silence."""
    return model.predict(heard(model, noisy), verbose=0)


def draw(table, path):
    """Draw what each gets right at each level of noise."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for name, right in zip(
        ("by hand", "bias fitted", *RATES), np.transpose(list(table.values())), strict=True
    ):
        axes.plot(list(table), 100 * right, marker="o", label=name)
    axes.set(xlabel="words above noise", ylabel="% right")
    axes.legend()
    figure.savefig(path)
    print(f"Picture: {path}")


if __name__ == "__main__":
    main()
