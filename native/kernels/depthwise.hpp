// Convolutions of each channel by itself: as many groups as channels, one filter each.
//
//     y[o][c] = bias[c] + sum over taps t of weight[t, c] * x[position(o, t)][c]
//
// Nothing is summed over channels, so a vector is a piece of a position's row, whatever lies there:
// channels of one image, or images of one channel. A tile is P outputs of one pattern, which share
// the weights; the loops are: tile, vector of the row, taps. weights: [tap][channel]. The sums are
// those of convolution.hpp, in the same order. Each multiply-add loads its x, so half of the
// processor's rate is the limit.
//
// In the kernel's gradient a tile is taps of one pattern: their sums stay in registers over all of
// its outputs.
#pragma once

constexpr int DEPTHWISE_OUTPUTS = REGISTERS == 32 ? 8 : 4;
constexpr int DEPTHWISE_TAPS = REGISTERS == 32 ? 9 : 5;
constexpr int DEPTHWISE_SLIDING = 5;  // taps of a run whose weights stay in registers

INLINE bool is_depthwise(int64_t groups, int64_t channels, int64_t rows) {
    return groups > 1 && channels == 1 && rows == 1;
}

// Calls body(first float of the row, part of a vector, channel) for the vectors of some channels.
template <class Body>
INLINE void for_row(Range channels, int64_t lanes, Body body) {
    if (lanes == 1) {
        for_vectors(channels.first, channels.last, [&](int64_t c, auto part) { body(c, part, c); });
        return;
    }
    for (int64_t c = channels.first; c < channels.last; ++c)
        for (int64_t lane = 0; lane < lanes; lane += WIDTH)
            body(c * lanes + lane, WholeVector{}, c);
}

// A number for each channel, as the vectors of a row need it.
template <class Part>
INLINE Vector of_channel(const float* numbers, int64_t channel, int64_t lanes, Part part) {
    return lanes == 1 ? part.read(numbers + channel) : broadcast(numbers[channel]);
}

template <int P>
static void depthwise_outputs(const Convolution& a, const float* x, float* y, const int32_t* o) {
    const int64_t row = a.groups * a.lanes;
    const int32_t pattern = a.table.pattern[o[0]];
    const float* base[P];
    for (int p = 0; p < P; ++p) base[p] = x + a.table.base[o[p]] * row;
    for_row({0, a.groups}, a.lanes, [&](int64_t i, auto part, int64_t channel) {
        Vector sums[P];
        const Vector start = a.bias ? of_channel(a.bias, channel, a.lanes, part) : Vector{};
        for (int p = 0; p < P; ++p) sums[p] = start;
        for (int32_t r = a.table.first_run[pattern]; r < a.table.first_run[pattern + 1]; ++r) {
            const Run run = a.table.runs[r];
            for (int32_t t = 0; t < run.taps; ++t) {
                const float* weights = a.weights + (run.tap + t) * a.groups;
                const Vector weight = of_channel(weights, channel, a.lanes, part);
                const int64_t place = (run.offset + t) * row + i;
                for (int p = 0; p < P; ++p)
                    sums[p] = multiply_add(weight, part.read(base[p] + place), sums[p]);
            }
        }
        for (int p = 0; p < P; ++p) part.write(y + o[p] * row + i, sums[p]);
    });
    for (int p = 0; p < P; ++p) activate_tile(a.activation, y + o[p] * row, 1, 0, row);
}

// P outputs that lie side by side, as their windows do, whose runs all have T taps: each x is loaded
// once for a run, not once for each of its taps. 3 x 3 over 16 images of 56 x 56
// with 128 channels took 3.2 ms of a core, and takes 2.1: eight places of x to read from no longer need
// eight addresses.
template <int P, int T>
static void depthwise_sliding(const Convolution& a, const float* x, float* y, int64_t o) {
    const int64_t row = a.groups * a.lanes;
    const int32_t pattern = a.table.pattern[o];
    const float* base = x + a.table.base[o] * row;
    for_row({0, a.groups}, a.lanes, [&](int64_t i, auto part, int64_t channel) {
        Vector sums[P];
        const Vector start = a.bias ? of_channel(a.bias, channel, a.lanes, part) : Vector{};
        for (int p = 0; p < P; ++p) sums[p] = start;
        for (int32_t r = a.table.first_run[pattern]; r < a.table.first_run[pattern + 1]; ++r) {
            const Run run = a.table.runs[r];
            Vector weights[T];
            for (int t = 0; t < T; ++t)
                weights[t] = of_channel(a.weights + (run.tap + t) * a.groups, channel, a.lanes,
                                        part);
            const float* from = base + run.offset * row + i;
            for (int j = 0; j < P + T - 1; ++j, from += row) {
                const Vector value = part.read(from);
                for (int t = 0; t < T; ++t)
                    if (j >= t && j - t < P)
                        sums[j - t] = multiply_add(weights[t], value, sums[j - t]);
            }
        }
        float* to = y + o * row + i;
        for (int p = 0; p < P; ++p, to += row) part.write(to, sums[p]);
    });
    activate_tile(a.activation, y + o * row, 1, 0, P * row);
}

// How many taps all runs of a pattern have, or 0 if they differ.
INLINE int64_t taps_of_runs(const Gather& table, int64_t pattern) {
    const int32_t first = table.first_run[pattern], last = table.first_run[pattern + 1];
    const int32_t taps = first < last ? table.runs[first].taps : 0;
    for (int32_t r = first; r < last; ++r)
        if (table.runs[r].taps != taps) return 0;
    return taps;
}

// How many of the next outputs of a pattern lie side by side, their windows too.
INLINE int64_t side_by_side(const Gather& table, int64_t place, int64_t last) {
    const int32_t* o = table.order + place;
    int64_t count = 1;
    while (place + count < last && count < DEPTHWISE_OUTPUTS && o[count] == o[0] + count &&
           table.base[o[count]] == table.base[o[0]] + count)
        ++count;
    return count;
}

static void depthwise(const Convolution& a, const float* x, float* y, Share share) {
    constexpr int ALL = DEPTHWISE_OUTPUTS, HALF = ALL / 2;
    const Range mine = share_of(a.table.outputs, share);
    for (int64_t pattern = 0; pattern < a.table.patterns; ++pattern) {
        const int64_t first = a.table.first_output[pattern];
        const int64_t end = a.table.first_output[pattern + 1];
        const int64_t last = end < mine.last ? end : mine.last;
        const int64_t taps = taps_of_runs(a.table, pattern);
        const bool slides = taps > 0 && taps <= DEPTHWISE_SLIDING;
        for (int64_t place = first > mine.first ? first : mine.first; place < last;) {
            const int32_t* o = a.table.order + place;
            const int64_t together = slides ? side_by_side(a.table, place, last) : 1;
            if (together >= HALF) {
                with_count<DEPTHWISE_SLIDING>(taps, [&](auto t) {
                    if (together == ALL) depthwise_sliding<ALL, t.count>(a, x, y, o[0]);
                    else depthwise_sliding<HALF, t.count>(a, x, y, o[0]);
                });
                place += together == ALL ? ALL : HALF;
                continue;
            }
            const int64_t left = last - place < ALL ? last - place : ALL;
            const int64_t count = together > 1 ? together : left;
            with_count<ALL>(count, [&](auto number) {
                depthwise_outputs<number.count>(a, x, y, o);
            });
            place += count;
        }
    }
}

// --- the kernel's gradient ---

// Taps of a pattern: which, and where they read from the window's base.
struct PatternTap {
    int32_t tap;
    int32_t offset;
};

template <int T>
INLINE void depthwise_taps(const KernelGradient& a, const float* x, const float* delta,
                           float* gradient, const PatternTap* taps, Range outputs,
                           Range channels) {
    const int64_t row = a.groups * a.lanes;
    for_row(channels, a.lanes, [&](int64_t i, auto part, int64_t channel) {
        Vector sums[T] = {};
        for (int64_t k = outputs.first; k < outputs.last; ++k) {
            const int64_t o = a.table.order[k];
            const Vector d = part.read(delta + o * row + i);
            const float* values = x + a.table.base[o] * row + i;
            for (int t = 0; t < T; ++t)
                sums[t] = multiply_add(part.read(values + taps[t].offset * row), d, sums[t]);
        }
        for (int t = 0; t < T; ++t) {
            float* target = gradient + taps[t].tap * a.groups + channel;
            if (a.lanes == 1) part.write(target, part.read(target) + sums[t]);
            else *target += sum(sums[t]);
        }
    });
}

// Some outputs at a time, so that what they read stays in the cache for all vectors of the row; the
// threads share the channels.
static void depthwise_kernel_gradient(const KernelGradient& a, const float* x, const float* delta,
                                      float* gradient, Share share) {
    constexpr int64_t OUTPUTS = 64;
    const Range channels = share_of(a.groups, share);
    for (int64_t pattern = 0; pattern < a.table.patterns; ++pattern) {
        const int64_t last = a.table.first_output[pattern + 1];
        PatternTap taps[DEPTHWISE_TAPS];
        int64_t count = 0;
        const auto flush = [&] {
            with_count<DEPTHWISE_TAPS>(count, [&](auto number) {
                for (int64_t o = a.table.first_output[pattern]; o < last; o += OUTPUTS)
                    depthwise_taps<number.count>(a, x, delta, gradient, taps,
                                                 {o, o + OUTPUTS < last ? o + OUTPUTS : last},
                                                 channels);
            });
            count = 0;
        };
        for (int32_t r = a.table.first_run[pattern]; r < a.table.first_run[pattern + 1]; ++r)
            for (int32_t t = 0; t < a.table.runs[r].taps; ++t) {
                taps[count++] = {a.table.runs[r].tap + t, a.table.runs[r].offset + t};
                if (count == DEPTHWISE_TAPS) flush();
            }
        flush();
    }
}
