"""A first network: it learns to read handwritten digits, in well under a minute.

It trains on 1,440 images of 8x8 pixels, reads 357 others that it has never seen, and saves what it
learned for the command ``convlet``. Run it with ``make demo`` or ``python examples/digits.py``.
"""

import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

import convlet
from convlet.applications import SmallLeNet
from convlet.metrics import confusion_matrix

MODEL = Path("digits.safetensors")
IMAGES = Path("digit-images")
INK = 16  # the data's pixels go from 0, paper, to 16


def main():
    """Train, test, save."""
    convlet.utils.set_random_seed(0)  # the same numbers in every run
    data = convlet.datasets.open_dataset("digits")

    # The network: two convolutions find strokes, two dense layers name the digit.
    model = SmallLeNet(input_shape=(8, 8, 1), classes=10, scale=1 / INK)
    model.summary()

    # Training: thirty times through the images, 32 at a time, each time a step down the loss.
    model.compile(
        optimizer=convlet.optimizers.SGD(learning_rate=0.02, momentum=0.9),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    start = time.perf_counter()
    model.fit(data.x_train, data.y_train, batch_size=32, epochs=30)
    print(f"\nTrained in {time.perf_counter() - start:.1f} s.")

    # Testing, on images that were kept apart.
    loss, accuracy = model.evaluate(data.x_test, data.y_test, verbose=0)
    predicted = model.predict(data.x_test, verbose=0).argmax(axis=1)
    print(f"It reads {accuracy:.1%} of {len(predicted)} new digits right; the loss is {loss:.3f}.")
    print("\nA row for each digit, a column for what it was taken for:\n")
    print(confusion_matrix(data.y_test, predicted, classes=10))
    show_mistakes(data.x_test, data.y_test, predicted)

    # Saving: one file with all that is needed to use the network elsewhere.
    model.class_names = list(data.class_names)
    model.preprocessing = data.preprocessing
    model.save(MODEL)
    suggest(write_images(data.x_test, data.y_test))
    if accuracy < 0.98:
        sys.exit("\nThis is less than the 98 % that this network should reach.")


def show_mistakes(x, y, predicted, at_most=4):
    """Print digits that were misread, side by side, a block of shade for each pixel."""
    wrong = np.flatnonzero(predicted != y)[:at_most]
    if len(wrong) == 0:
        return
    shades = np.array(["  ", "░░", "▒▒", "▓▓", "██"])  # two characters are about a square
    blocks = shades[x[wrong, ..., 0].astype(int) * (len(shades) - 1) // INK]
    sys.stdout.reconfigure(errors="replace")  # where blocks cannot be printed, "?" will do
    print("\nSome that it misread:\n")
    for row in range(8):
        print("    ".join("".join(image[row]) for image in blocks))
    print("    ".join(f"a {y[i]}, read as {predicted[i]} " for i in wrong))


def write_images(x, y):
    """Write three test images as PNG files; return their paths."""
    IMAGES.mkdir(exist_ok=True)
    paths = []
    for digit, name in {3: "three", 7: "seven", 8: "eight"}.items():
        pixels = x[np.argmax(y == digit), ..., 0]
        paths.append(IMAGES / f"{name}.png")
        Image.fromarray(np.round(pixels * (255 / INK)).astype(np.uint8)).save(paths[-1])
    return paths


def suggest(images):
    """Print what to type next."""
    command = Path(sys.executable).parent / "convlet"
    if command.is_relative_to(Path.cwd()):
        command = command.relative_to(Path.cwd())
    print(f"\nSaved the network in {MODEL} and {len(images)} test digits in {IMAGES}/. Now try:\n")
    print(f"  {command} predict {MODEL} {' '.join(map(str, images))}")
    print(f"  {command} evaluate {MODEL} digits")
    print(f"  {command} train --help")


if __name__ == "__main__":
    main()
