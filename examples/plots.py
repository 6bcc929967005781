"""What examples with a picture share: the option --plot, checked before anything is trained."""

from pathlib import Path

FORMATS = (".pdf", ".png", ".svg")


def add_option(parser):
    """Let the command line name a picture."""
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw into it, with matplotlib")


def check(parser, path):
    """Stop unless the picture, if one is wanted, can be drawn and has a place."""
    if path is None:
        return
    if path.suffix not in FORMATS or not path.parent.is_dir():
        parser.error(f"--plot must be a {', '.join(FORMATS)} file in a folder, got {path}")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        parser.error("--plot needs matplotlib: pip install matplotlib")
