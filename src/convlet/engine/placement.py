"""Where buffers lie in memory: those that are needed at the same time lie apart.

A buffer that is no longer needed leaves its place to the next one: within a phase, so that a block
of images stays in a small piece of a thread's memory, which stays in the cache; and from phase to
phase, so that a network takes no more memory than it must.
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


def heirs(
    groups: Sequence[Sequence[tuple[Sequence[str], Sequence[str]]]],
    sizes: Mapping[str, int],
    in_place: Mapping[str, str],
) -> dict[str, str]:
    """Return for some buffers one that is last used in the group where they are first written.

    A block goes through the steps of a group one after the other. So a buffer may take the place of
    one whose last step comes before its own first step, if both are as large; or is the same step,
    if that may write over what it reads.

    Parameters
    ----------
    groups : sequence of sequences of (reads, writes)
        What each step of each group reads and writes.
    sizes : mapping of str to int
        Bytes of each buffer; others are not looked at.
    in_place : mapping of str to str
        As for `place`.
    """
    first: dict[str, tuple[int, int]] = {}
    last: dict[str, tuple[int, int]] = {}
    for number, group in enumerate(groups):
        for step, (reads, writes) in enumerate(group):
            for name in (*reads, *writes):
                if name in sizes:
                    first.setdefault(name, (number, step))
                    last[name] = (number, step)
    chosen: dict[str, str] = {}
    left = set(last)
    for name in sorted(first, key=first.__getitem__):
        where, step = first[name]
        old = in_place.get(name, "")
        candidates = [
            other
            for other in left
            if last[other][0] == where
            and first[other][0] < where
            and aligned(sizes[other]) == aligned(sizes[name])
            and (last[other][1] < step or (other == old and last[other][1] == step))
        ]
        if candidates and name in {w for _, writes in groups[where] for w in writes}:
            chosen[name] = old if old in candidates else max(candidates, key=last.__getitem__)
            left.discard(chosen[name])
    return chosen


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
