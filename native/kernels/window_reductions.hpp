// L2, log-sum-exp and stochastic pooling: reductions that go through each window more than once or
// keep more than one number; the formulas are those of ops/smooth_pooling.py and
// ops/stochastic_pooling.py.
//
// Forward, a vector stays in registers while its window's taps are gone through, as often as the
// reduction needs. The gradients are one loop with different slopes: they read the transposed
// table, and each input sums over its windows delta times the slope of y by x.
#pragma once

// body(output, i, part, taps) for every vector i of every output; taps(use) calls use(x, tap) for
// each position that the window reads.
template <class Body>
INLINE void for_windows(const Pooling& a, const float* x, Range outputs, Body body) {
    const int64_t row = a.channels * a.lanes;
    for (int64_t o = outputs.first; o < outputs.last; ++o)
        for_vectors(0, row, [&](int64_t i, auto part) {
            body(o, i, part, [&](auto use) {
                for_taps(a.table, o, [&](int64_t position, int32_t tap) {
                    use(part.read(x + position * row + i), tap);
                });
            });
        });
}

// x_delta = the sum of slope(window, x, y, place, part) * delta over the windows that read x;
// `place` is that of y.
template <class Slope>
INLINE void slopes_of_windows(const Pooling& a, const float* delta, const float* x, const float* y,
                              float* x_delta, Share share, Slope slope) {
    const int64_t row = a.channels * a.lanes;
    sum_over_windows(a, x_delta, share, [&](int64_t window, int64_t input, int64_t i, auto part) {
        const int64_t place = window * row + i;
        const Vector slope_there =
            slope(window, part.read(x + input), part.read(y + place), place, part);
        return part.read(delta + place) * slope_there;
    });
}

// The largest x of a window and of `least`, NaN if there is one.
template <class Taps>
INLINE Vector largest_of(Taps taps, float least) {
    Vector largest = broadcast(least);
    taps([&](Vector x, int32_t) { largest = choose(replaces(x, largest), x, largest); });
    return largest;
}

static void l2_pool(const Pooling& a, const float* x, float* y, Share share) {
    const int64_t row = a.channels * a.lanes;
    const Range mine = share_of(a.table.outputs, share);
    for_windows(a, x, mine, [&](int64_t o, int64_t i, auto part, auto taps) {
        Vector total = {};
        taps([&](Vector value, int32_t) { total += value * value; });
        part.write(y + o * row + i, square_root(total));
    });
}

static void l2_pool_gradient(const Pooling& a, const float* delta, const float* x, const float* y,
                             float* x_delta, Share share) {
    slopes_of_windows(a, delta, x, y, x_delta, share,
                      [](int64_t, Vector value, Vector norm, int64_t, auto) {
                          return choose(norm == 0.0f, Vector{}, value / norm);
                      });
}

// A window of padding alone counts as one of one position.
INLINE float positions_of(const Pooling& a, int64_t window) {
    return a.counts[window] > 0 ? a.counts[window] : 1.0f;
}

// The logarithm of a mean, of which both itself and it less 1 are known: near 1 the latter has more
// digits, and ln(1 + u) = u ln w / (w - 1), w being 1 + u as it is rounded.
INLINE Vector logarithm_of_mean(Vector mean, Vector less_one) {
    const Integers is_near = less_one > -0.5f;
    const Vector w = choose(is_near, less_one + 1.0f, mean), l = logarithm(w);
    const Vector corrected = choose(w == 1.0f, less_one, l * (less_one / (w - 1.0f)));
    return choose(is_near, corrected, l);
}

static void log_sum_exp_pool(const Pooling& a, const float* x, float* y, Share share) {
    const int64_t row = a.channels * a.lanes;
    const Range mine = share_of(a.table.outputs, share);
    for_windows(a, x, mine, [&](int64_t o, int64_t i, auto part, auto taps) {
        const Vector largest = largest_of(taps, -__builtin_inff());
        Vector total = {}, less_one = {};
        taps([&](Vector value, int32_t) {
            // the maximum itself is 0 below itself, also where it is infinite
            const Vector below =
                choose(value == largest, Vector{}, (value - largest) * a.sharpness);
            total += exponential(below);
            less_one += exponential_minus_1(below);
        });
        const float n = positions_of(a, o);
        const Vector above = logarithm_of_mean(total / n, less_one / n) / a.sharpness;
        part.write(y + o * row + i, largest + above);
    });
}

static void log_sum_exp_pool_gradient(const Pooling& a, const float* delta, const float* x,
                                      const float* y, float* x_delta, Share share) {
    slopes_of_windows(a, delta, x, y, x_delta, share,
                      [&](int64_t window, Vector value, Vector soft_maximum, int64_t, auto) {
                          return exponential((value - soft_maximum) * a.sharpness) /
                                 positions_of(a, window);
                      });
}

// An activation divided by the window's largest.
INLINE Vector weight_of(Vector x, Vector largest) {
    const Vector weight = choose(x == largest, broadcast(1.0f), x / largest);
    return choose(x > 0.0f, weight, Vector{});
}

constexpr int64_t DRAWN_AT_ONCE = 1024;

// Numbers from 0 to below 1 for the floats `begin` up to `end` of an output, [channel][lane]. Four
// units share a counter, as with dropout.
static void draw(const Pooling& a, const Draws& draws, int64_t output, int64_t begin, int64_t end,
                 float* uniform) {
    const int64_t first = output * a.channels;
    const int64_t units_begin = first + begin / a.lanes;
    const int64_t units_end = first + (end + a.lanes - 1) / a.lanes;
    for (int64_t quad = units_begin / 4; quad <= (units_end - 1) / 4; ++quad)
        for (int64_t lane = 0; lane < a.lanes; ++lane) {
            uint32_t words[4] = {(uint32_t)quad, (uint32_t)(draws.first_image + lane),
                                 (uint32_t)draws.step, draws.layer};
            philox(words, (uint32_t)draws.seed, (uint32_t)(draws.seed >> 32));
            for (int64_t n = 0; n < 4; ++n) {
                const int64_t i = (4 * quad + n - first) * a.lanes + lane;
                if (i >= begin && i < end) uniform[i - begin] = (float)(words[n] >> 8) * 0x1p-24f;
            }
        }
}

template <class Winner>
static void stochastic_pool_of(const Pooling& a, const Draws& draws, const float* x, float* y,
                               Share share) {
    const int64_t row = a.channels * a.lanes;
    const int32_t nobody = (int32_t)a.table.taps;
    float uniform[DRAWN_AT_ONCE];
    const Range mine = share_of(a.table.outputs, share);
    for_windows(a, x, mine, [&](int64_t o, int64_t i, auto part, auto taps) {
        const int64_t last = i + DRAWN_AT_ONCE < row ? i + DRAWN_AT_ONCE : row;
        if (i % DRAWN_AT_ONCE == 0) draw(a, draws, o, i, last, uniform);
        const Vector largest = largest_of(taps, 0.0f);
        Vector total = {}, so_far = {};
        taps([&](Vector value, int32_t) { total += weight_of(value, largest); });
        const Vector threshold = part.read(uniform + i % DRAWN_AT_ONCE) * total;
        Vector chosen = choose(largest == largest, Vector{}, largest);
        Integers winner = Integers{} + nobody;
        taps([&](Vector value, int32_t tap) {
            so_far += weight_of(value, largest);
            const Integers drawn = (so_far > threshold) & (winner == nobody);
            chosen = choose(drawn, value, chosen);
            winner = drawn ? Integers{} + tap : winner;
        });
        part.write(y + o * row + i, chosen);
        write_winners((Winner*)a.winner + o * row + i, winner, left_of(part));
    });
}

static void stochastic_pool(const Pooling& a, const Draws& draws, const float* x, float* y,
                            Share share) {
    switch (a.winner_bytes) {
        case 1: return stochastic_pool_of<uint8_t>(a, draws, x, y, share);
        case 2: return stochastic_pool_of<uint16_t>(a, draws, x, y, share);
        default: return stochastic_pool_of<uint32_t>(a, draws, x, y, share);
    }
}

static void stochastic_pool_mean(const Pooling& a, const float* x, float* y, float* total,
                                 Share share) {
    const int64_t row = a.channels * a.lanes;
    const Range mine = share_of(a.table.outputs, share);
    for_windows(a, x, mine, [&](int64_t o, int64_t i, auto part, auto taps) {
        const Vector largest = largest_of(taps, 0.0f);
        Vector weights = {}, squares = {};
        taps([&](Vector value, int32_t) {
            const Vector weight = weight_of(value, largest);
            weights += weight;
            squares += weight * weight;
        });
        const Vector mean = largest * (squares / weights);
        part.write(y + o * row + i, choose(largest > 0.0f, mean, largest));
        part.write(total + o * row + i, largest * weights);
    });
}

static void stochastic_pool_mean_gradient(const Pooling& a, const float* delta, const float* x,
                                          const float* y, const float* total, float* x_delta,
                                          Share share) {
    slopes_of_windows(a, delta, x, y, x_delta, share,
                      [&](int64_t, Vector value, Vector mean, int64_t place, auto part) {
                          const Vector slope = (value + value - mean) / part.read(total + place);
                          return choose(value > 0.0f, slope, Vector{});
                      });
}
