"""The command itself: its subcommands, and what becomes of errors.

Exit codes: 0 done, 1 something failed, 2 called wrongly, 130 Ctrl-C.
"""

from __future__ import annotations

from typing import Any

import click

import convlet
from convlet.cli.bench import bench
from convlet.cli.evaluate import evaluate
from convlet.cli.export import export
from convlet.cli.info import info, summary
from convlet.cli.options import INTERRUPTED, examples
from convlet.cli.predict import predict
from convlet.cli.report import reason
from convlet.cli.search import search
from convlet.cli.train import train


class _Commands(click.Group):
    """The subcommands. An error of the library becomes one sentence on standard error."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # whoever read the output has seen enough; click ends quietly
        except (ValueError, ImportError, OSError, MemoryError) as error:
            raise click.ClickException(reason(error)) from error
        except KeyboardInterrupt as error:
            told = f"\nInterrupted: {error}" if str(error) else "\nInterrupted"
            click.echo(told, err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None


@click.group(
    cls=_Commands,
    epilog=examples(
        "convlet train digits",
        "convlet evaluate digits.safetensors digits",
        "convlet predict digits.safetensors seven.png",
        "convlet train --help",
    ),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(convlet.__version__, message="convlet %(version)s")
def main() -> None:
    """Train convolutional networks on this computer's processor, and use them."""


for _command in (train, search, evaluate, predict, export, summary, info, bench):
    main.add_command(_command)
