// Max and average pooling and their gradients: the tap table with other reductions.
//
// A position's channels and lanes lie side by side, `channels * lanes` floats, and all are treated
// alike: vector by vector, what a window comes to stays in a register over its taps. The gradients
// read the transposed table, which lists for each input the windows it is in: every input is
// written once, by whoever its position belongs to, and nothing has to be cleared. Where no input
// is in two windows, each window writes its inputs instead, and is looked up once for all of them:
// 2 x 2 windows of 64 channels went back in 3.2 ns a vector of inputs, and do in 1.1.
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

// Winners are kept in the smallest unsigned type that holds the window's taps. Bytes, which nearly
// all are, have instructions of their own: GCC 12 takes __builtin_convertvector apart, number by
// number (back through 2 x 2 windows: 24 cycles a vector; with the instruction, what memory takes).
INLINE Integers read_bytes(const uint8_t* p) {
#if defined(__AVX2__) && !defined(__AVX512F__)
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
    if constexpr (sizeof(Winner) == 1)
        if (count >= WIDTH) return read_bytes(p);
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

// The winners of a vector of windows.
template <class Winner>
struct WonBy {
    Integers winners;
    template <class Part>
    INLINE_MEMBER WonBy(const Winner* p, Part part) : winners(read_winners(p, left_of(part))) {}
    // `delta` where the tap won, else 0.
    INLINE_MEMBER Vector share(int32_t tap, Vector delta) const {
        return choose(winners == tap, delta, Vector{});
    }
};
#if defined(__AVX512BW__)
// Bytes are compared as bytes, with no need to widen them.
template <>
struct WonBy<uint8_t> {
    __m128i winners;
    INLINE_MEMBER WonBy(const uint8_t* p, WholeVector)
        : winners(_mm_loadu_si128((const __m128i*)p)) {}
    INLINE_MEMBER WonBy(const uint8_t* p, PartOfVector part)
        : winners(_mm_maskz_loadu_epi8(first_lanes(part.count), p)) {}
    INLINE_MEMBER Vector share(int32_t tap, Vector delta) const {
        const __mmask16 won = _mm_cmpeq_epi8_mask(winners, _mm_set1_epi8((char)tap));
        return (Vector)_mm512_maskz_mov_ps(won, (__m512)delta);
    }
};
#endif

// What one output or input reads, for which tables of poolings are not merged: each run is one tap,
// of the position `base` + its offset.
struct Window {
    const Run* taps;
    int64_t count, base;
};
INLINE Window window_of(const Gather& table, int64_t output) {
    const int32_t pattern = table.pattern[output], first = table.first_run[pattern];
    return {table.runs + first, table.first_run[pattern + 1] - first, table.base[output]};
}

// Calls body with a window's count of taps as a type, for the counts that nearly all windows have:
// places and taps then stay in registers for all vectors of a row (3 x 3 windows by 2, back: 2.4 ns
// a vector of inputs instead of 3.9). Count<0> stands for any other.
template <class Body>
INLINE void for_count(int64_t count, Body body) {
    switch (count) {
        case 1: return body(Count<1>{});
        case 2: return body(Count<2>{});
        case 4: return body(Count<4>{});
        case 9: return body(Count<9>{});
        default: return body(Count<0>{});
    }
}

// Where the rows begin that a window reads, from `numbers` on. COUNT of them are known, or none.
template <int COUNT, class Number>
struct Rows {
    Number* begin[COUNT ? COUNT : 1];
    Number* numbers;
    Window window;
    int64_t row;

    INLINE_MEMBER Rows(Number* first, const Window& its, int64_t floats)
        : numbers(first), window(its), row(floats) {
        for (int t = 0; t < COUNT; ++t) begin[t] = place(t);
    }
    INLINE_MEMBER Number* place(int64_t tap) const {
        return numbers + (window.base + window.taps[tap].offset) * row;
    }
    INLINE_MEMBER Number* operator[](int64_t tap) const { return COUNT ? begin[tap] : place(tap); }
    INLINE_MEMBER int64_t count() const { return COUNT ? COUNT : window.count; }
};

// Calls body(output, window, the rows that it reads, i, part) for every vector i of every output.
template <class Body>
INLINE void for_outputs(const Pooling& a, const float* x, Share share, Body body) {
    const int64_t row = a.channels * a.lanes;
    const Range mine = share_of(a.table.outputs, share);
    for (int64_t o = mine.first; o < mine.last; ++o) {
        const Window window = window_of(a.table, o);
        for_count(window.count, [&](auto known) {
            const Rows<known.count, const float> rows(x, window, row);
            for_vectors(0, row,
                        [&](int64_t i, auto part) { body(o, window, rows, i, part); });
        });
    }
}

template <class Winner>
static void max_pool_of(const Pooling& a, const float* x, float* y, Share share) {
    const int64_t row = a.channels * a.lanes;
    for_outputs(a, x, share, [&](int64_t o, const Window& window, const auto& rows, int64_t i,
                                 auto part) {
        // the first tap is taken whatever it holds, also -inf; a window of nothing but padding has
        // no tap
        Vector best = broadcast(-__builtin_inff());
        Integers won = Integers{} + (int32_t)a.table.taps;
        for (int64_t t = 0; t < rows.count(); ++t) {
            const Vector candidate = part.read(rows[t] + i);
            const Integers better = t == 0 ? ~Integers{} : replaces(candidate, best);
            best = choose(better, candidate, best);
            won = better ? Integers{} + window.taps[t].tap : won;
        }
        part.write(y + o * row + i, best);
        write_winners((Winner*)a.winner + o * row + i, won, left_of(part));
    });
}

// For the inputs from `first` up to `last`, which are written to x_delta from its start on; the
// table is transposed and numbers the taps backwards.
template <class Winner>
INLINE void max_pool_gradient_of(const Gather& table, int64_t row, const Winner* winner,
                                 const float* delta, float* x_delta, int64_t first, int64_t last) {
    for (int64_t input = first; input < last; ++input, x_delta += row) {
        const Window window = window_of(table, input);
        if (!window.count) {
            memset(x_delta, 0, 4 * row);
            continue;
        }
        for_count(window.count, [&](auto known) {
            const Rows<known.count, const float> deltas(delta, window, row);
            const Rows<known.count, const Winner> winners(winner, window, row);
            for_vectors(0, row, [&](int64_t i, auto part) {
                const auto share = [&](int64_t t) {
                    const auto tap = (int32_t)table.taps - 1 - window.taps[t].tap;
                    return WonBy<Winner>(winners[t] + i, part).share(tap, part.read(deltas[t] + i));
                };
                Vector total = share(0);
                for (int64_t t = 1; t < deltas.count(); ++t) total += share(t);
                part.write(x_delta + i, total);
            });
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

// Writes zeros to the inputs that are in no window.
INLINE void clear_unread(const Pooling& a, float* x_delta, Share share) {
    const int64_t row = a.channels * a.lanes;
    for (int64_t pattern = 0; pattern < a.table.patterns; ++pattern) {
        if (a.table.first_run[pattern] < a.table.first_run[pattern + 1]) continue;
        const int32_t* inputs = a.table.order + a.table.first_output[pattern];
        const Range mine = share_of(
            a.table.first_output[pattern + 1] - a.table.first_output[pattern], share);
        for (int64_t i = mine.first; i < mine.last; ++i)
            memset(x_delta + inputs[i] * row, 0, 4 * row);
    }
}

// Calls body(window, first float of its row, how many taps it has, as a type) for windows of which
// no input is in two.
template <class Body>
INLINE void for_windows_apart(const Pooling& a, float* x_delta, Share share, Body body) {
    clear_unread(a, x_delta, share);
    const Range mine = share_of(a.apart->outputs, share);
    for (int64_t o = mine.first; o < mine.last; ++o) {
        const Window window = window_of(*a.apart, o);
        for_count(window.count, [&](auto known) {
            body(window, o * a.channels * a.lanes, known);
        });
    }
}

template <class Winner>
static void max_pool_gradient_apart(const Pooling& a, const Winner* winner, const float* delta,
                                    float* x_delta, Share share) {
    const int64_t row = a.channels * a.lanes;
    for_windows_apart(a, x_delta, share, [&](const Window& window, int64_t place, auto known) {
        const Rows<known.count, float> rows(x_delta, window, row);
        for_vectors(0, row, [&](int64_t i, auto part) {
            const WonBy<Winner> won(winner + place + i, part);
            const Vector d = part.read(delta + place + i);
            for (int64_t t = 0; t < rows.count(); ++t)
                part.write(rows[t] + i, won.share(window.taps[t].tap, d));
        });
    });
}

static void max_pool_gradient(const Pooling& a, const float* delta, float* x_delta, Share share) {
    const int64_t row = a.channels * a.lanes;
    const Range mine = share_of(a.table.outputs, share);
    const auto gradient = [&](auto* winner) {
        if (a.apart) return max_pool_gradient_apart(a, winner, delta, x_delta, share);
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
    for_outputs(a, x, share, [&](int64_t o, const Window& window, const auto& rows, int64_t i,
                                 auto part) {
        Vector total = window.count ? part.read(rows[0] + i) : Vector{};
        for (int64_t t = 1; t < rows.count(); ++t) total += part.read(rows[t] + i);
        part.write(y + o * row + i, total / a.counts[o]);
    });
}

// Each input's gradient is the sum over the windows that it is in of body(window, where the input's
// vector begins in x, where it begins in its row, part).
template <class Body>
INLINE void sum_over_windows(const Pooling& a, float* x_delta, Share share, Body body) {
    const int64_t row = a.channels * a.lanes;
    const Range mine = share_of(a.table.outputs, share);
    for (int64_t input = mine.first; input < mine.last; ++input) {
        const Window windows = window_of(a.table, input);
        for_vectors(0, row, [&](int64_t i, auto part) {
            const auto value = [&](int64_t t) {
                return body(windows.base + windows.taps[t].offset, input * row + i, i, part);
            };
            Vector total = windows.count ? value(0) : Vector{};
            for (int64_t t = 1; t < windows.count; ++t) total += value(t);
            part.write(x_delta + input * row + i, total);
        });
    }
}

static void average_pool_gradient(const Pooling& a, const float* delta, float* x_delta,
                                  Share share) {
    const int64_t row = a.channels * a.lanes;
    if (a.apart)
        return for_windows_apart(a, x_delta, share, [&](const Window& window, int64_t place,
                                                        auto known) {
            const Rows<known.count, float> rows(x_delta, window, row);
            for_vectors(0, row, [&](int64_t i, auto part) {
                const Vector each = part.read(delta + place + i) / a.counts[place / row];
                for (int64_t t = 0; t < rows.count(); ++t) part.write(rows[t] + i, each);
            });
        });
    sum_over_windows(a, x_delta, share, [&](int64_t window, int64_t, int64_t i, auto part) {
        return part.read(delta + window * row + i) / a.counts[window];
    });
}
