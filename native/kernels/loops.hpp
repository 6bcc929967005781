// Loops that several kernels share.
#pragma once

// The part of `count` units of work that is this thread's: from `first` up to `last`.
struct Range {
    int64_t first, last;
};
INLINE Range share_of(int64_t count, Share share) {
    return {count * share.part / share.parts, count * (share.part + 1) / share.parts};
}

// The part of a line that is among some places.
INLINE Line clipped(Line line, Range places) {
    const int64_t end = line.place + line.length;
    if (line.place >= places.last || end <= places.first) {
        line.length = 0;
        return line;
    }
    const int32_t skipped = line.place < places.first ? (int32_t)places.first - line.place : 0;
    line.length = (int32_t)(end < places.last ? end : places.last) - line.place - skipped;
    line.place += skipped;
    line.output += skipped * line.output_step;
    line.base += skipped * line.base_step;
    return line;
}

// Calls body(place, part) for the vectors of the floats from `first` up to `last`: part.read(p) and
// part.write(p, v) touch no more floats than are left.
struct WholeVector {
    INLINE_MEMBER Vector read(const float* p) const { return load(p); }
    INLINE_MEMBER void write(float* p, Vector v) const { store(p, v); }
};
struct PartOfVector {
    int64_t count;
    INLINE_MEMBER Vector read(const float* p) const { return load_first(p, count); }
    INLINE_MEMBER void write(float* p, Vector v) const { store_first(p, v, count); }
};
template <class Body>
INLINE void for_vectors(int64_t first, int64_t last, Body body) {
    int64_t i = first;
    for (; i + WIDTH <= last; i += WIDTH) body(i, WholeVector{});
    if (i < last) body(i, PartOfVector{last - i});
}

// Calls body with a number up to N as a type, so that the compiler unrolls what is done with each.
template <int N>
struct Count {
    static constexpr int count = N;
};
template <int N, class Body>
INLINE void with_count(int64_t number, Body body) {
    if constexpr (N > 0) {
        if (number == N) body(Count<N>{});
        else with_count<N - 1>(number, body);
    }
}
