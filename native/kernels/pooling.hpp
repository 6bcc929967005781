// Max and average pooling and their gradients: the tap table with other reductions.
//
// A position's channels and lanes lie side by side, `channels * lanes` floats, and all are treated
// alike, so the loops are: outputs, taps, then this row of floats as vectors. The gradients read
// the transposed table, which lists for each input the windows it is in: every input is written
// once, by whoever its position belongs to, and nothing has to be cleared or added up.
#pragma once

// Calls body(position, tap) for what an output reads, in the order of the taps.
template <class Body>
INLINE void for_taps(const Gather& table, int64_t output, Body body) {
    const int32_t pattern = table.pattern[output];
    const int64_t base = table.base[output];
    for (int32_t r = table.first_run[pattern]; r < table.first_run[pattern + 1]; ++r) {
        const Run run = table.runs[r];
        for (int32_t t = 0; t < run.taps; ++t) body(base + run.offset + t, run.tap + t);
    }
}

// Where the candidate replaces the best so far: it is larger, or the first NaN.
INLINE Integers replaces(Vector candidate, Vector best) {
    return (candidate > best) | ((candidate != candidate) & (best == best));
}

// Winners are kept in the smallest unsigned type that holds the window's taps.
template <class Winner>
INLINE Integers read_winners(const Winner* p, int64_t count) {
    Integers v = {};
    if (count >= WIDTH) {
        typedef Winner Packed __attribute__((vector_size(WIDTH * sizeof(Winner))));
        Packed packed;
        memcpy(&packed, p, sizeof packed);
        return __builtin_convertvector(packed, Integers);
    }
    for (int64_t i = 0; i < count; ++i) v[i] = (int32_t)p[i];
    return v;
}
template <class Winner>
INLINE void write_winners(Winner* p, Integers v, int64_t count) {
    if (count >= WIDTH) {
        typedef Winner Packed __attribute__((vector_size(WIDTH * sizeof(Winner))));
        const Packed packed = __builtin_convertvector(v, Packed);
        memcpy(p, &packed, sizeof packed);
        return;
    }
    for (int64_t i = 0; i < count; ++i) p[i] = (Winner)v[i];
}

INLINE int64_t left_of(WholeVector) { return WIDTH; }
INLINE int64_t left_of(PartOfVector part) { return part.count; }

template <class Winner>
static void max_pool_of(const Pooling& a, const float* x, float* y, Share share) {
    const int64_t row = a.channels * a.lanes;
    const Range mine = share_of(a.table.outputs, share);
    for (int64_t o = mine.first; o < mine.last; ++o) {
        for_vectors(0, row, [&](int64_t i, auto part) {
            Vector best = broadcast(-__builtin_inff());
            Integers winner = Integers{} + (int32_t)a.table.taps;  // no tap yet
            bool first = true;
            for_taps(a.table, o, [&](int64_t position, int32_t tap) {
                const Vector candidate = part.read(x + position * row + i);
                // the first tap is taken whatever it holds: a window may hold nothing but -inf
                const Integers better = first ? ~Integers{} : replaces(candidate, best);
                best = choose(better, candidate, best);
                winner = better ? Integers{} + tap : winner;
                first = false;
            });
            part.write(y + o * row + i, best);
            write_winners((Winner*)a.winner + o * row + i, winner, left_of(part));
        });
    }
}

// For the inputs from `first` up to `last`; a.table is transposed and numbers the taps backwards.
template <class Winner>
INLINE void max_pool_gradient_of(const Gather& table, int64_t row, const Winner* winner,
                                 const float* delta, float* x_delta, int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
        float* target = x_delta + (i - first) * row;
        for_vectors(0, row, [&](int64_t k, auto part) {
            Vector total = {};
            for_taps(table, i, [&](int64_t output, int32_t reversed) {
                const int32_t tap = (int32_t)table.taps - 1 - reversed;
                const Integers won = read_winners(winner + output * row + k, left_of(part)) == tap;
                total += choose(won, part.read(delta + output * row + k), Vector{});
            });
            part.write(target + k, total);
        });
    }
}

static void max_pool(const Pooling& a, const float* x, float* y, Share share) {
    switch (a.winner_bytes) {
        case 1: return max_pool_of<uint8_t>(a, x, y, share);
        case 2: return max_pool_of<uint16_t>(a, x, y, share);
        default: return max_pool_of<uint32_t>(a, x, y, share);
    }
}

static void max_pool_gradient(const Pooling& a, const float* delta, float* x_delta, Share share) {
    const int64_t row = a.channels * a.lanes;
    const Range mine = share_of(a.table.outputs, share);
    const auto gradient = [&](auto* winner) {
        max_pool_gradient_of(a.table, row, winner, delta, x_delta + mine.first * row, mine.first,
                             mine.last);
    };
    switch (a.winner_bytes) {
        case 1: return gradient((const uint8_t*)a.winner);
        case 2: return gradient((const uint16_t*)a.winner);
        default: return gradient((const uint32_t*)a.winner);
    }
}

static void average_pool(const Pooling& a, const float* x, float* y, Share share) {
    const int64_t row = a.channels * a.lanes;
    const Range mine = share_of(a.table.outputs, share);
    for (int64_t o = mine.first; o < mine.last; ++o) {
        for_vectors(0, row, [&](int64_t i, auto part) {
            Vector total = {};
            for_taps(a.table, o, [&](int64_t position, int32_t) {
                total += part.read(x + position * row + i);
            });
            part.write(y + o * row + i, total / a.counts[o]);
        });
    }
}

static void average_pool_gradient(const Pooling& a, const float* delta, float* x_delta,
                                  Share share) {
    const int64_t row = a.channels * a.lanes;
    const Range mine = share_of(a.table.outputs, share);
    for (int64_t i = mine.first; i < mine.last; ++i) {
        for_vectors(0, row, [&](int64_t k, auto part) {
            Vector total = {};
            for_taps(a.table, i, [&](int64_t output, int32_t) {
                total += part.read(delta + output * row + k) / a.counts[output];
            });
            part.write(x_delta + i * row + k, total);
        });
    }
}
