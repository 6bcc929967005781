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

import numpy as np
import plots
from command_line import parser_of
from silence import GAIN, LOUD
from sounds import add_folder, loudness, spoken_digits, with_noise
from training import adam, fit_anew

from convlet import Sequential, utils
from convlet.layers import Conv1D, Input

WORD, LENGTH = 6000, 12000  # samples: room for one word, and for two
WINDOW, STEP = 200, 80  # samples that the filter looks at, 25 ms; between its places
LEVELS = (np.inf, 20, 10, 5, 0)  # decibels that words are louder than noise; infinitely without
BIASES = LOUD * np.geomspace(1 / 4, 32, 71)  # mean amplitudes that are no silence any more
BATCH, TESTS = 16, 300
RATES = {"one filter": 0.02, "network": 0.003}
LAYERS = {  # filters, taps and what else; the network's second one brings one place for each step
    "one filter": [(1, WINDOW, {"strides": STEP})],
    "network": [
        (16, 64, {"strides": 16}),
        (32, 15, {"strides": 5}),
        (32, 5, {"dilation_rate": 4}),
        (1, 5, {}),
    ],
}


def main():
    """Train a filter and a network for each seed, then compare."""
    parser = parser_of(__doc__, plot=True, seeds=3, epochs=6, sounds=(1000, "to learn from"))
    add_folder(parser)
    options = parser.parse_args()
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
    print(f"{'noise':<8}{'by hand':>14}{'bias fitted':>14}{'one filter':>14}{'network':>14}")
    right = {name: [] for name in ("by hand", "bias fitted", *RATES)}
    for level in LEVELS:
        noisy = with_noise(test, level, np.random.default_rng(2))
        bias = fitted(
            with_noise(clean, level, np.random.default_rng(3)), by_hand(clean, LOUD) > 0.5
        )
        found = [[by_hand(noisy, LOUD)], [by_hand(noisy, bias)]]
        found += [[answers(model, noisy) for model in of_seeds] for of_seeds in models.values()]
        for name, of_seeds in zip(right, found, strict=True):
            right[name].append(100 * np.mean([(answer > 0.5) == silent for answer in of_seeds]))
        cells = [f"{shares[-1]:13.1f}%" for shares in right.values()]
        print(f"{name_of(level):<8}{''.join(cells)}")
    if options.plot:
        labels = {"xlabel": "words above noise", "ylabel": "% right"}
        plots.curves(options.plot, [name_of(level) for level in LEVELS], right, **labels)


def name_of(level):
    """Return a level of noise in words."""
    return "none" if level == np.inf else f"{level} dB"


def sounds(words, count, generator):
    """Return sounds of two words, each as loud as the other, anywhere in its half."""
    words = words / loudness(words, where=words != 0)
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
    model = network(name)
    optimizer = adam(RATES[name], epochs, len(clean), BATCH)
    model.compile(optimizer, "binary_crossentropy", ["accuracy"])
    silent = by_hand(clean, LOUD) > 0.5

    def noisy_and_silent():
        noisy = with_noise(clean, generator.uniform(0, 30, len(clean)), generator)
        return heard(model, noisy), silent

    fit_anew(model, noisy_and_silent, epochs, BATCH, f"{name}, seed {seed}")
    return model


def network(name):
    """Return one filter of the form of the one made by hand, or layers of them."""
    model = Sequential([Input((LENGTH, 1))], name=name.replace(" ", "_"))
    *hidden, last = LAYERS[name]
    for filters, taps, options in hidden:
        model.add(Conv1D(filters, taps, padding="same", activation="relu", **options))
    filters, taps, options = last
    model.add(Conv1D(filters, taps, padding="same", activation="sigmoid", **options))
    return model


def heard(model, noisy):
    """Return what the model is given: one filter the amplitude, a network the waveform."""
    if len(model.layers) == 1:
        return amplitude(noisy)
    return (noisy / loudness(noisy))[..., np.newaxis]


def answers(model, noisy):
    """Return how sure the model is at each step that there is a silence."""
    return model.predict(heard(model, noisy), verbose=0)


if __name__ == "__main__":
    main()
