"""Where buffers lie: those that live at the same time never share a byte."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from convlet.engine.placement import ALIGNMENT, aligned, heirs, place


@st.composite
def steps(draw):
    """Draw steps that write new buffers and read old ones, sizes, and who may replace whom."""
    uses, in_place, known = [], {}, []
    for number in range(draw(st.integers(1, 12))):
        reads = draw(st.lists(st.sampled_from(known), max_size=3)) if known else []
        new = [f"{number}.{n}" for n in range(draw(st.integers(1, 2)))]
        if reads and draw(st.booleans()):
            in_place[new[0]] = reads[0]
        if draw(st.booleans()):  # comes from outside, and is first seen when it is read
            reads = [*reads, f"{number}.outside"]
        known += [*new, *reads]
        uses.append((reads, new))
    names = {name for reads, writes in uses for name in (*reads, *writes)}
    here = draw(st.sets(st.sampled_from(sorted(names)))) if draw(st.booleans()) else names
    sizes = {name: draw(st.integers(1, 300)) for name in sorted(here)}
    return uses, sizes, in_place


def lives(uses, name):
    """Return the first and the last step that has to do with a buffer."""
    numbers = [n for n, (reads, writes) in enumerate(uses) if name in (*reads, *writes)]
    return numbers[0], numbers[-1]


def overlap(one, other):
    return one[0] < other[1] and other[0] < one[1]


@given(steps())
@settings(deadline=None)
def test_buffers_that_live_at_the_same_time_lie_apart(case):
    uses, sizes, in_place = case
    offsets = place(uses, sizes, in_place)
    bytes_of = {n: (offsets[n], offsets[n] + sizes[n]) for n in offsets}
    for a, b in itertools.permutations(offsets, 2):
        (a_first, a_last), (b_first, b_last) = lives(uses, a), lives(uses, b)
        if a_last < b_first or b_last < a_first or not overlap(bytes_of[a], bytes_of[b]):
            continue
        if a_first < b_first:  # then b has taken the place of a, which it reads for the last time
            assert in_place.get(b) == a
            assert a_last == b_first
        else:
            assert in_place.get(a) == b
            assert b_last == a_first


def test_a_place_is_taken_over_by_what_is_as_large_alone():
    """The rest of a larger one would be free for another buffer of the same step."""
    uses = [([], ["x"]), (["x"], ["y", "winner"])]
    offsets = place(uses, {"x": 128, "y": 64, "winner": 64}, {"y": "x"})
    assert offsets == {"x": 0, "y": 128, "winner": 192}


@given(steps())
def test_every_buffer_begins_with_a_cache_line_and_others_have_no_place(case):
    uses, sizes, in_place = case
    offsets = place(uses, sizes, in_place)
    assert set(offsets) == set(sizes)
    assert all(offset >= 0 and offset % ALIGNMENT == 0 for offset in offsets.values())


def test_what_is_read_again_later_is_not_replaced():
    uses = [([], ["x"]), (["x"], ["y"]), (["x", "y"], ["z"])]
    offsets = place(uses, dict.fromkeys("xyz", 64), {"y": "x", "z": "y"})
    assert offsets["x"] != offsets["y"]
    assert offsets["z"] == offsets["y"]


def test_a_dead_buffer_leaves_its_place_to_the_next():
    uses = [([], ["a"]), (["a"], ["b"]), (["b"], ["c"]), (["c"], ["d"])]
    offsets = place(uses, dict.fromkeys("abcd", 100), {})
    assert [offsets[name] for name in "abcd"] == [0, 128, 0, 128]


def test_two_buffers_of_one_step_do_not_both_take_a_place():
    uses = [([], ["x"]), (["x"], ["y", "winner"])]
    offsets = place(uses, dict.fromkeys(("x", "y", "winner"), 64), {"y": "x", "winner": "x"})
    assert offsets["y"] != offsets["winner"]


def test_sizes_are_rounded_up_to_cache_lines():
    assert [aligned(size) for size in (0, 1, 63, 64, 65)] == [0, 64, 64, 64, 128]


@st.composite
def groups_of_steps(draw):
    """Draw groups of steps that read what earlier ones wrote, sizes, and who may replace whom."""
    groups, in_place, known = [], {}, []
    for number in range(draw(st.integers(1, 5))):
        group = []
        for step in range(draw(st.integers(0, 4))):
            reads = draw(st.lists(st.sampled_from(known), max_size=3)) if known else []
            new = [f"{number}.{step}.{n}" for n in range(draw(st.integers(1, 2)))]
            if reads and draw(st.booleans()):
                in_place[new[0]] = reads[0]
            known += new
            group.append((reads, new))
        groups.append(group)
    sizes = {name: draw(st.sampled_from([64, 100, 300])) for name in known}
    return groups, sizes, in_place


@given(groups_of_steps())
@settings(max_examples=300, deadline=None)
def test_a_block_never_finds_its_place_taken_in_a_later_step(drawn):
    groups, sizes, in_place = drawn
    blocks = 3
    uses = [([n for r, _ in g for n in r], [n for _, w in g for n in w]) for g in groups]
    whole = {name: blocks * aligned(size) for name, size in sizes.items()}
    offsets = place(uses, whole, heirs(groups, sizes, in_place))
    times = {}
    for number, group in enumerate(groups):
        for step, (reads, writes) in enumerate(group):
            for name in (*reads, *writes):
                times.setdefault(name, []).append((number, step))
    for one, other in itertools.permutations(sizes, 2):
        spans = [(offsets[n], offsets[n] + whole[n]) for n in (one, other)]
        if not overlap(*spans) or times[one][0] > times[other][0]:
            continue
        end, start = times[one][-1], times[other][0]
        if end[0] < start[0]:
            continue  # no block is in two groups at a time
        # within a group, where another block may be ahead: the same places for each block
        assert end[0] == start[0]
        assert spans[0] == spans[1]
        assert aligned(sizes[one]) == aligned(sizes[other])
        assert end[1] < start[1] or (end == start and in_place[other] == one)


def test_a_later_buffer_takes_the_place_of_one_that_is_done_with():
    groups = [[([], ["a"])], [(["a"], ["b"]), (["b"], ["c"])], [(["c"], ["d"])]]
    sizes = {"a": 64, "c": 64}
    assert heirs(groups, sizes, {}) == {"c": "a"}
    assert heirs(groups, sizes | {"c": 65}, {}) == {}
