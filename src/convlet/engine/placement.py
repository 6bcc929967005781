"""Where buffers lie in a thread's memory: those that are needed at the same time lie apart.

A buffer that is no longer needed leaves its place to the next one, so that a block of images stays
in a small piece of memory, which stays in the cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

ALIGNMENT = 64  # bytes: a cache line


def aligned(size: int) -> int:
    """Return a size in bytes, rounded up to whole cache lines."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def place(
    uses: Sequence[tuple[Sequence[str], Sequence[str]]],
    sizes: Mapping[str, int],
    in_place: Mapping[str, str],
) -> dict[str, int]:
    """Return the offset of each buffer, in bytes.

    Parameters
    ----------
    uses : sequence of (reads, writes)
        What each step reads and writes; names that are not in ``sizes`` lie elsewhere.
    sizes : mapping of str to int
        Bytes of each buffer.
    in_place : mapping of str to str
        For some buffers one that their step reads, and whose place they may take if it is as large
        and nobody needs it any more.
    """
    last_use = {
        name: step for step, (reads, writes) in enumerate(uses) for name in (*reads, *writes)
    }
    offsets: dict[str, int] = {}
    living: dict[str, int] = {}
    for step, (reads, writes) in enumerate(uses):
        for name in (*reads, *writes):
            if name in offsets or name not in sizes:
                continue
            old = in_place.get(name, "")
            fits = old in living and aligned(sizes[old]) == aligned(sizes[name])
            if fits and last_use[old] == step:
                offsets[name] = offsets[old]
                del living[old]
            else:
                offsets[name] = _lowest_gap(living, sizes, offsets, aligned(sizes[name]))
            living[name] = step
        for name in [name for name in living if last_use[name] <= step]:
            del living[name]
    return offsets


def _lowest_gap(
    living: Mapping[str, int], sizes: Mapping[str, int], offsets: Mapping[str, int], size: int
) -> int:
    """Return the lowest offset at which ``size`` bytes are free."""
    start = 0
    for name in sorted(living, key=offsets.__getitem__):
        if offsets[name] - start >= size:
            break
        start = max(start, offsets[name] + aligned(sizes[name]))
    return start
