"""Pictures that several examples draw. Matplotlib is imported when the first one is."""

import numpy as np


def figure(width, height):
    """Return an empty figure, in inches."""
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained")


def save(figure, path):
    """Write a figure into a file and say so."""
    figure.savefig(path)
    print(f"Picture: {path}")


def row_of_images(axes, name, images, **shown):
    """Draw images beside each other, and their name in front; ``shown`` as `imshow` takes it."""
    for place, image in zip(axes, images, strict=True):
        place.imshow(image, **shown)
        place.set(xticks=[], yticks=[])
    axes[0].set_ylabel(name)


def confusion(axes, table, names):
    """Draw a confusion matrix: shades are shares of a row, numbers its counts."""
    shares = table / table.sum(axis=1, keepdims=True)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(table):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour)
    axes.set(xticks=range(len(names)), yticks=range(len(names)), xlabel="taken for")
    axes.set_xticklabels(names, rotation=45)
    axes.set_yticklabels(names)


def curves(path, x, lines, **labels):
    """Draw a line for each name in ``lines`` and save it; ``labels`` as an axes' ``set`` does."""
    picture = figure(6, 4)
    axes = picture.subplots()
    for name, y in lines.items():
        axes.plot(x, y, marker="o", label=name)
    axes.set(**labels)
    axes.legend()
    save(picture, path)
