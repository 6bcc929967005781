"""What is timed: the list of cases, each a network, what is done with it, and a batch size."""

from __future__ import annotations

from dataclasses import dataclass

from networks import LENET, MOBILENET_V2, RESNET20, VGG, Network

KINDS = ("training", "inference", "fit", "memory", "operators")
FIT_SAMPLES = 50_000  # of MNIST's 60,000: the lecture keeps the others for validation


@dataclass(frozen=True)
class Case:
    """One thing that every contender is asked to do.

    Parameters
    ----------
    kind : {"training", "inference", "fit", "peak"}
        A step of training; a prediction; an epoch of MNIST; a product of two square matrices.
    batch : int
        Images in a batch; rows of the matrices.
    network : Network
    """

    kind: str
    batch: int
    network: Network = LENET

    @property
    def title(self) -> str:
        """What to write above the figures."""
        doing = {
            "training": "Training step",
            "inference": "Inference",
            "fit": f"fit, one epoch of {FIT_SAMPLES:,} images of MNIST",
            "peak": "Matrix product",
        }
        return f"{doing[self.kind]}, {self.network.name}, batch size {self.batch}"

    @property
    def flops(self) -> int:
        """The arithmetic of one call."""
        if self.kind == "peak":
            return 2 * self.batch**3
        images = FIT_SAMPLES if self.kind == "fit" else self.batch
        return images * self.network.flops(training=self.kind != "inference")


PEAK = Case("peak", 2048)
MEMORY = Case("training", 500)  # what is done before memory is read
CASES = (
    MEMORY,  # first, so that the workers' peak memory is that of this case
    Case("training", 100),
    Case("training", 32),
    Case("inference", 128),
    Case("inference", 1),
    Case("fit", 500),
    Case("fit", 32),
    *(
        Case(kind, 128, network)
        for network in (RESNET20, MOBILENET_V2, VGG)
        for kind in ("training", "inference")
    ),
)
