"""How would this song continue? Causal, dilated convolutions that go on with a melody.

Lecture 004 asks it ("1D - sound"). The melodies come from a small grammar: 32 notes of a scale of
two octaves, in four phrases A A B A. A phrase begins anywhere and then goes up or down by at most
three steps of the scale; all As of a melody are the same. Whoever remembers enough can know a note
of an A that comes again; of the first A and of B one can only guess what is likely.

The network predicts each note from those before it (``padding="causal"``), given as one-hot
channels. A layer has 2 taps, and each layer's are twice as far apart as the last one's, as in
WaveNet (van den Oord et al., 2016): n layers see 2^n notes. So A's first return, 8 notes later, can
be known from 8 notes on, and its last one, 16 later, from 16 on.

It prints how often the next note of melodies that it has never seen is predicted right: by the
most frequent note; by what most often follows the note before; by networks of 1 to 5 layers; and by
who knows the grammar, which nobody can surpass. Then each network continues a melody.

    python examples/melody.py --plot melody.png --out melody.wav

By the most frequent note 8.4 % are right, by what follows the note before 38.3; with 2 and 4 notes
38.3 and 38.2, with 8 47.0, with 16 67.1, with 32 68.9 (three seeds; 68.4 to 69.3); by the grammar
70.5. Who sees 8 notes goes on with B again, who sees 32 with A. It takes a minute of the
processor's time.
"""

from pathlib import Path

import numpy as np
import plots
from command_line import parser_of
from melodies import NAMES, NOTES, PHRASE, grammarian, melodies, played, written
from sounds import write_wav
from training import mean_of

from convlet import Model, utils
from convlet.layers import Add, Conv1D, Input
from convlet.optimizers import Adam

FILTERS, BATCH, RATE = 48, 32, 0.003
TEST, PRIMER = 1000, 3 * PHRASE  # melodies to be judged by; notes that are given to be continued
SHOWN = 7  # of the test melodies, the one that is continued
SAMPLE_RATE = 8000  # of the sound


def main():
    """Train networks of more and more layers, and let each continue a melody."""
    options = parse_arguments()
    training = melodies(options.melodies, np.random.default_rng(0))
    test = melodies(TEST, np.random.default_rng(1))
    print(f"{len(training):,} melodies to learn from, {TEST:,} others to be judged by\n")
    print("The next note is predicted right by, %")
    show("the most frequent note", test, [np.bincount(training.ravel()).argmax()])
    show("what most often follows the note before", test, [followers(training)[test[:, :-1]]])
    rolls = {"the melody": test[SHOWN]}
    for layers in range(1, options.layers + 1):
        models = [trained(layers, seed, training, options.epochs) for seed in range(options.seeds)]
        guesses = [model.predict(one_hot(test[:, :-1]), verbose=0) for model in models]
        name = f"{2**layers} notes seen"
        show(f"{name}, layers: {layers}", test, [chances.argmax(axis=-1) for chances in guesses])
        rolls[name] = continued(models[-1], test[SHOWN, :PRIMER], NOTES)
    show("whoever knows the grammar", test, [grammarian(test)])
    print(f"\nContinued after its first {PRIMER} notes:\n")
    for name, notes in rolls.items():
        print(f"{name:<14} {written(notes)}")
    if options.plot:
        draw(rolls, options.plot)
    if options.out:
        write_wav(options.out, played(notes, SAMPLE_RATE), SAMPLE_RATE)
        print(f"Sound: {options.out}")


def parse_arguments():
    """Return what was asked for on the command line."""
    parser = parser_of(
        __doc__,
        plot=True,
        seeds=3,
        epochs=15,
        layers=(5, "of the largest network"),
        melodies=(2000, "to learn from"),
    )
    parser.add_argument("--out", type=Path, help="write the largest network's melody as a WAV file")
    options = parser.parse_args()
    if options.out and not options.out.parent.is_dir():
        parser.error(f"--out must be a file in a folder, got {options.out}")
    return options


def followers(notes):
    """Return for each note what follows it most often."""
    pairs = np.zeros((len(NAMES), len(NAMES)), int)
    np.add.at(pairs, (notes[:, :-1], notes[:, 1:]), 1)
    return pairs.argmax(axis=1)


def one_hot(notes):
    """Return a channel for each note of the scale."""
    return utils.to_categorical(notes, len(NAMES))


def trained(layers, seed, notes, epochs):
    """Return a network that predicts each note from those before it."""
    utils.set_random_seed(seed)
    given = Input((None, len(NAMES)))
    y = Conv1D(FILTERS, 2, padding="causal", activation="relu")(given)
    for layer in range(1, layers):
        seen = Conv1D(FILTERS, 2, padding="causal", dilation_rate=2**layer, activation="relu")(y)
        y = Add()([y, seen])
    model = Model(given, Conv1D(len(NAMES), 1, activation="softmax")(y))
    model.compile(Adam(RATE), "sparse_categorical_crossentropy")
    model.fit(one_hot(notes[:, :-1]), notes[:, 1:], BATCH, epochs, verbose=0)
    return model


def continued(model, notes, length):
    """Return the notes and those that the network thinks likeliest, one after the other."""
    while len(notes) < length:
        chances = model.predict(one_hot(notes[np.newaxis]), verbose=0)[0, -1]
        notes = np.append(notes, chances.argmax())
    return notes


def show(name, melodies, guesses):
    """Print how many notes were guessed right, the mean of all seeds."""
    shares = [100 * np.mean(guess == melodies[:, 1:]) for guess in guesses]
    print(f"  {name:<40} {mean_of(shares, '.1f')}", flush=True)


def draw(rolls, path):
    """Draw the melody and its continuations as piano rolls."""
    figure = plots.figure(7, 9)
    for axes, (name, notes) in zip(
        figure.subplots(len(rolls), sharex=True), rolls.items(), strict=True
    ):
        axes.step(np.arange(NOTES + 1), np.append(notes, notes[-1]), where="post")
        axes.set(title=name, yticks=range(0, len(NAMES), 7), yticklabels=NAMES[::7])
        for border in range(PHRASE, NOTES, PHRASE):
            axes.axvline(border, color="grey", linewidth=2 if border == PRIMER else 0.5)
    plots.save(figure, path)


if __name__ == "__main__":
    main()
