// Batch normalization: sums for each channel over a block, and the gradient by its input.
//
// A block's moments are taken in two passes while it is in the cache: the mean, then the squares of
// the distances from it, so that nothing cancels however far from 0 the numbers lie. What blocks
// find is put together in native/normalization.cpp. Several channels are summed at a time: with 16
// lanes of AVX-512, one of them takes one line of the cache a position.
#pragma once

constexpr int CHANNELS_AT_ONCE = 4;

// v where there are images, 0 elsewhere.
INLINE Vector where_there(WholeVector, Vector v) { return v; }
INLINE Vector where_there(PartOfVector part, Vector v) {
    float values[WIDTH];
    store(values, v);
    return load_first(values, part.count);
}

// Calls body(channel, place, part) for the vectors of images of ROWS neighbouring channels.
template <int ROWS, class Body>
INLINE void for_images(const ChannelSums& a, int64_t first, Body body) {
    for (int64_t p = 0; p < a.positions; ++p)
        for (int row = 0; row < ROWS; ++row) {
            const int64_t start = (p * a.channels + first + row) * a.lanes;
            for_vectors(start, start + a.images,
                        [&](int64_t i, auto part) { body(row, i, part); });
        }
}

// Calls body(first, count as a type) for the channels of the share, a few at a time.
template <class Body>
INLINE void for_tiles_of_channels(const ChannelSums& a, Share share, Body body) {
    const Range mine = share_of(a.channels, share);
    for (int64_t c = mine.first; c < mine.last; c += CHANNELS_AT_ONCE) {
        const int64_t rest = mine.last - c;
        with_count<CHANNELS_AT_ONCE>(rest < CHANNELS_AT_ONCE ? rest : CHANNELS_AT_ONCE,
                                     [&](auto rows) { body(c, rows); });
    }
}

// OUT mean: of each channel; squares: the sum of the squares of the distances from it. The second
// pass also finds what the first mean is off by (Chan, Golub and LeVeque, 1983).
static void block_moments(const ChannelSums& a, const float* x, float* mean, float* squares,
                          Share share) {
    const float count = (float)(a.positions * a.images);
    if (a.lanes == 1) {
        const Range mine = share_of(a.channels, share);
        for_vectors(mine.first, mine.last, [&](int64_t c, auto part) {
            Vector total = {}, rest = {}, square = {};
            for (int64_t p = 0; p < a.positions; ++p) total += part.read(x + p * a.channels + c);
            const Vector middle = total / count;
            for (int64_t p = 0; p < a.positions; ++p) {
                const Vector distance = part.read(x + p * a.channels + c) - middle;
                rest += distance;
                square = multiply_add(distance, distance, square);
            }
            part.write(mean + c, middle + rest / count);
            part.write(squares + c, square - rest * rest / count);
        });
        return;
    }
    for_tiles_of_channels(a, share, [&](int64_t first, auto tile) {
        constexpr int ROWS = decltype(tile)::count;
        Vector totals[ROWS] = {}, rests[ROWS] = {}, of_squares[ROWS] = {}, middle[ROWS];
        for_images<ROWS>(a, first, [&](int row, int64_t i, auto part) {
            totals[row] += part.read(x + i);
        });
        for (int row = 0; row < ROWS; ++row) middle[row] = broadcast(sum(totals[row]) / count);
        for_images<ROWS>(a, first, [&](int row, int64_t i, auto part) {
            const Vector distance = where_there(part, part.read(x + i) - middle[row]);
            rests[row] += distance;
            of_squares[row] = multiply_add(distance, distance, of_squares[row]);
        });
        for (int row = 0; row < ROWS; ++row) {
            const float rest = sum(rests[row]);
            mean[first + row] = middle[row][0] + rest / count;
            squares[first + row] = sum(of_squares[row]) - rest * rest / count;
        }
    });
}

// OUT sum: of delta, for each channel; product: of delta * (x - mean).
static void block_gradient_sums(const ChannelSums& a, const float* delta, const float* x,
                                const float* mean, float* total, float* product, Share share) {
    if (a.lanes == 1) {
        const Range mine = share_of(a.channels, share);
        for_vectors(mine.first, mine.last, [&](int64_t c, auto part) {
            Vector of_delta = {}, of_products = {};
            const Vector middle = part.read(mean + c);
            for (int64_t i = c; i < a.positions * a.channels; i += a.channels) {
                const Vector d = part.read(delta + i);
                of_delta += d;
                of_products = multiply_add(d, part.read(x + i) - middle, of_products);
            }
            part.write(total + c, of_delta);
            part.write(product + c, of_products);
        });
        return;
    }
    for_tiles_of_channels(a, share, [&](int64_t first, auto tile) {
        constexpr int ROWS = decltype(tile)::count;
        Vector of_delta[ROWS] = {}, of_products[ROWS] = {}, middle[ROWS];
        for (int row = 0; row < ROWS; ++row) middle[row] = broadcast(mean[first + row]);
        for_images<ROWS>(a, first, [&](int row, int64_t i, auto part) {
            const Vector d = part.read(delta + i);
            of_delta[row] += d;
            of_products[row] = multiply_add(d, part.read(x + i) - middle[row], of_products[row]);
        });
        for (int row = 0; row < ROWS; ++row) {
            total[first + row] = sum(of_delta[row]);
            product[first + row] = sum(of_products[row]);
        }
    });
}

// y = f(scale x + offset + residual): what adds to a normalized map and activates it costs no pass over
// memory of its own.
static void normalize(const Activation& function, const float* x, const float* coefficients,
                      const float* residual, float* y, int64_t positions, int64_t channels,
                      int64_t lanes, Share share) {
    const float *scales = coefficients, *offsets = coefficients + channels;
    for_channels(positions, channels, lanes, share, [&](int64_t i, int64_t c, auto part) {
        Vector z = part.read(x + i) * of_channel(scales, c, lanes, part) +
                   of_channel(offsets, c, lanes, part);
        if (residual) z += part.read(residual + i);
        part.write(y + i, activated(function, z));
    });
}

// x_delta = f (delta + g x + h), where the coefficients are f, g and h of all channels; lanes without
// an image stay 0, as gradients must.
static void combine(const ChannelSums& a, const float* delta, const float* x,
                    const float* coefficients, float* x_delta, Share share) {
    const float *f = coefficients, *g = f + a.channels, *h = g + a.channels;
    for_channels(a.positions, a.channels, a.lanes, share, [&](int64_t i, int64_t c, auto part) {
        const Vector shared = multiply_add(part.read(x + i), of_channel(g, c, a.lanes, part),
                                           of_channel(h, c, a.lanes, part));
        const Vector centred = part.read(delta + i) + shared;
        part.write(x_delta + i, centred * of_channel(f, c, a.lanes, part));
    });
    if (a.images == a.lanes) return;
    const Range mine = share_of(a.positions * a.channels, share);
    for (int64_t row = mine.first; row < mine.last; ++row)
        for (int64_t lane = a.images; lane < a.lanes; ++lane) x_delta[row * a.lanes + lane] = 0;
}
