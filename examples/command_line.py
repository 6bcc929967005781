"""What the command lines of the examples share: counts, MNIST's folder and a picture."""

import argparse
from pathlib import Path

MNIST = Path(__file__).resolve().parents[2] / "shared/data/mnist"  # beside the checkout
COUNTS = {
    "seeds": "how often to train each",
    "epochs": "how long",
    "limit": "take so many images of each part, for a trial",
}
FORMATS = (".pdf", ".png", ".svg")


def parser_of(documentation, mnist=False, plot=False, **counts):
    """Return a parser for an example with this docstring.

    It takes the folder of MNIST's files and ``--plot`` where these are asked for, and an option of
    at least 1 for each of ``counts``, which hold its default and what it says, or, for those of
    which ``COUNTS`` says it, the default alone. Underscores in their names become hyphens.
    """
    parser = argparse.ArgumentParser(description=documentation.splitlines()[0])
    if mnist:
        parser.add_argument("folder", nargs="?", default=MNIST, help="where MNIST's four files are")
    for name, given in counts.items():
        default, text = given if isinstance(given, tuple) else (given, COUNTS[name])
        shown = "" if default is None else f" ({default:,})"
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, type=count, default=default, metavar="N", help=text + shown)
    if plot:
        parser.add_argument("--plot", type=picture, metavar="FILE", help="draw it, with matplotlib")
    return parser


def count(text):
    """Return a number of at least 1."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return int(text)


def picture(text):
    """Return the path of a picture that can be drawn and has a place, before training begins."""
    path = Path(text)
    if path.suffix not in FORMATS or not path.parent.is_dir():
        formats = ", ".join(FORMATS)
        raise argparse.ArgumentTypeError(f"must be a {formats} file in a folder, got {text}")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise argparse.ArgumentTypeError("needs matplotlib: pip install matplotlib") from None
    return path
