// Max and average pooling and their gradients: the tap table with other reductions.
//
// A position's channels and lanes lie side by side, `channels * lanes` floats, and all are treated
// alike. Max pooling looks a window's taps up once and then, vector by vector, goes over them with
// the best so far in a register: three times as fast as a vector over a tap at a time; so does its
// gradient. The others' loops are: outputs, chunks of this row that stay in the L1 cache, taps,
// vectors. The gradients read the transposed table, which
// lists for each input the windows it is in: every input is written once, by whoever its position
// belongs to, and nothing has to be cleared.
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
    return ~(candidate <= best) & (best == best);
}

// Winners are kept in the smallest unsigned type that holds the window's taps. Bytes, which nearly all
// are, have instructions of their own: GCC 12 takes __builtin_convertvector apart, number by number
// (back through 2 x 2 windows: 24 cycles a vector; with the instruction, what memory takes).
INLINE Integers read_bytes(const uint8_t* p) {
#if defined(__AVX512BW__)
    return (Integers)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)p));
#elif defined(__AVX2__)
    return (Integers)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)p));
#else
    typedef uint8_t Packed __attribute__((vector_size(WIDTH)));
    Packed packed;
    memcpy(&packed, p, sizeof packed);
    return __builtin_convertvector(packed, Integers);
#endif
}
INLINE void write_bytes(uint8_t* p, Integers v) {
#if defined(__AVX512BW__)
    _mm_storeu_si128((__m128i*)p, _mm512_cvtepi32_epi8((__m512i)v));
#else
    typedef uint8_t Packed __attribute__((vector_size(WIDTH)));
    const Packed packed = __builtin_convertvector(v, Packed);
    memcpy(p, &packed, sizeof packed);
#endif
}

template <class Winner>
INLINE Integers read_winners(const Winner* p, int64_t count) {
    if constexpr (sizeof(Winner) == 1) {
        if (count >= WIDTH) return read_bytes(p);
#if defined(__AVX512BW__)
        return (Integers)_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(first_lanes(count), p));
#endif
    }
    Integers v = {};
    for (int64_t i = 0; i < count && i < WIDTH; ++i) v[i] = (int32_t)p[i];
    return v;
}
template <class Winner>
INLINE void write_winners(Winner* p, Integers v, int64_t count) {
    if constexpr (sizeof(Winner) == 1) {
        if (count >= WIDTH) return write_bytes(p, v);
#if defined(__AVX512BW__)
        _mm512_mask_cvtepi32_storeu_epi8(p, first_lanes(count), (__m512i)v);
        return;
#endif
    }
    for (int64_t i = 0; i < count && i < WIDTH; ++i) p[i] = (Winner)v[i];
}

INLINE int64_t left_of(WholeVector) { return WIDTH; }
INLINE int64_t left_of(PartOfVector part) { return part.count; }

constexpr int64_t CHUNK = 1024;  // floats: a chunk of x, y and winners is less than 16 KB

// Calls body(output, first, last) for every chunk of `row` floats of the outputs.
template <class Body>
INLINE void for_chunks(Range outputs, int64_t row, Body body) {
    for (int64_t o = outputs.first; o < outputs.last; ++o)
        for (int64_t first = 0; first < row; first += CHUNK)
            body(o, first, first + CHUNK < row ? first + CHUNK : row);
}

// The taps of one output or input, looked up once for all vectors of its row: at most so many at a
// time, larger windows go on with what they have so far.
constexpr int WINDOW_TAPS = 32;

struct WindowTap {
    int64_t place;  // where the row of its position begins
    int32_t tap;
};

// Calls body(taps, count, is_first) for the taps of an output, WINDOW_TAPS at a time; at least once.
template <class Body>
INLINE void for_window(const Gather& table, int64_t output, int64_t row, Body body) {
    WindowTap taps[WINDOW_TAPS];
    int count = 0;
    bool first = true;
    for_taps(table, output, [&](int64_t position, int32_t tap) {
        if (count == WINDOW_TAPS) {
            body(taps, count, first);
            count = 0;
            first = false;
        }
        taps[count++] = {position * row, tap};
    });
    if (count || first) body(taps, count, first);
}

template <class Winner>
static void max_pool_of(const Pooling& a, const float* x, float* y, Share share) {
    const int64_t row = a.channels * a.lanes;
    const Range mine = share_of(a.table.outputs, share);
    for (int64_t o = mine.first; o < mine.last; ++o) {
        float* best = y + o * row;
        Winner* winner = (Winner*)a.winner + o * row;
        for_window(a.table, o, row, [&](const WindowTap* taps, int count, bool first) {
            for_vectors(0, row, [&](int64_t i, auto part) {
                // the first tap is taken whatever it holds, also -inf; a window of nothing but
                // padding has no tap
                Vector so_far = broadcast(-__builtin_inff());
                Integers won = Integers{} + (int32_t)a.table.taps;
                if (!first) {
                    so_far = part.read(best + i);
                    won = read_winners(winner + i, left_of(part));
                }
                for (int t = 0; t < count; ++t) {
                    const Vector candidate = part.read(x + taps[t].place + i);
                    const Integers better =
                        first && t == 0 ? ~Integers{} : replaces(candidate, so_far);
                    so_far = choose(better, candidate, so_far);
                    won = better ? Integers{} + taps[t].tap : won;
                }
                part.write(best + i, so_far);
                write_winners(winner + i, won, left_of(part));
            });
        });
    }
}

// What an input gets from the outputs it may have won, one after the other: COUNT of them, or `count`
// where COUNT is 0. The sum stays in a register.
template <int COUNT, class Winner>
INLINE void add_won(const WindowTap* taps, int count, bool first, int64_t row,
                    const Winner* winner, const float* delta, float* target) {
    for_vectors(0, row, [&](int64_t i, auto part) {
        const auto share = [&](int t) {
            const int64_t k = taps[t].place + i;
            const Integers won = read_winners(winner + k, left_of(part)) == taps[t].tap;
            return choose(won, part.read(delta + k), Vector{});
        };
        Vector total = first ? share(0) : part.read(target + i) + share(0);
        for (int t = 1; t < (COUNT ? COUNT : count); ++t) total += share(t);
        part.write(target + i, total);
    });
}

// For the inputs from `first` up to `last`, which are written to x_delta from its start on; the
// table is transposed and numbers the taps backwards.
template <class Winner>
INLINE void max_pool_gradient_of(const Gather& table, int64_t row, const Winner* winner,
                                 const float* delta, float* x_delta, int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
        float* target = x_delta + (i - first) * row;
        for_window(table, i, row, [&](WindowTap* taps, int count, bool is_first) {
            for (int t = 0; t < count; ++t) taps[t].tap = (int32_t)table.taps - 1 - taps[t].tap;
            switch (count) {
                case 0: memset(target, 0, 4 * row); break;
                case 1: add_won<1>(taps, count, is_first, row, winner, delta, target); break;
                case 2: add_won<2>(taps, count, is_first, row, winner, delta, target); break;
                case 4: add_won<4>(taps, count, is_first, row, winner, delta, target); break;
                default: add_won<0>(taps, count, is_first, row, winner, delta, target);
            }
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

// target[i] = the sum of what body(position) gives for vector i, over the taps of an output.
template <class Body>
INLINE void sum_of_taps(const Gather& table, int64_t output, float* target, int64_t begin,
                        int64_t end, Body body) {
    bool first = true;
    for_taps(table, output, [&](int64_t position, int32_t) {
        for_vectors(begin, end, [&](int64_t i, auto part) {
            const Vector value = body(position, i, part);
            part.write(target + i, first ? value : part.read(target + i) + value);
        });
        first = false;
    });
    if (first) memset(target + begin, 0, 4 * (end - begin));
}

static void average_pool(const Pooling& a, const float* x, float* y, Share share) {
    const int64_t row = a.channels * a.lanes;
    for_chunks(share_of(a.table.outputs, share), row, [&](int64_t o, int64_t begin, int64_t end) {
        float* target = y + o * row;
        sum_of_taps(a.table, o, target, begin, end, [&](int64_t position, int64_t i, auto part) {
            return part.read(x + position * row + i);
        });
        for_vectors(begin, end, [&](int64_t i, auto part) {
            part.write(target + i, part.read(target + i) / a.counts[o]);
        });
    });
}

static void average_pool_gradient(const Pooling& a, const float* delta, float* x_delta,
                                  Share share) {
    const int64_t row = a.channels * a.lanes;
    for_chunks(share_of(a.table.outputs, share), row, [&](int64_t p, int64_t begin, int64_t end) {
        sum_of_taps(a.table, p, x_delta + p * row, begin, end,
                    [&](int64_t output, int64_t i, auto part) {
                        return part.read(delta + output * row + i) / a.counts[output];
                    });
    });
}
