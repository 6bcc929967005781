"""From a step to stages of the C++ core: a function for each kind of step, by family."""

from convlet.engine.stages import convolution, elementwise, normalization, pooling

WRITERS = {
    **convolution.WRITERS,
    **elementwise.WRITERS,
    **normalization.WRITERS,
    **pooling.WRITERS,
}
"""Who writes the stages of a step; tests check that no operator is missing."""

__all__ = ["WRITERS"]
