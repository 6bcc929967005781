// Normalization within one image: by the statistics of sets of its numbers, or of neighbouring
// channels. Every lane is summed by itself and in order, so an image's result does not depend on
// how many images lie beside it.
#pragma once

// The mean over a set of what body(place) gives, in the lanes from `lane` on.
template <class Body>
INLINE Vector mean_of_set(const Sets& a, int64_t set, int64_t lane, Body body) {
    Vector total = {};
    for (int64_t o = 0; o < a.outer; ++o) {
        const int64_t start = (o * a.sets + set) * a.inner;
        Vector part = {};
        for (int64_t i = start; i < start + a.inner; ++i) part += body(i * a.lanes + lane);
        total += part;
    }
    return total / (float)(a.outer * a.inner);
}

// Calls body(place) for the numbers of a set.
template <class Body>
INLINE void for_set(const Sets& a, int64_t set, int64_t lane, Body body) {
    for (int64_t o = 0; o < a.outer; ++o) {
        const int64_t start = (o * a.sets + set) * a.inner;
        for (int64_t i = start; i < start + a.inner; ++i) body(i * a.lanes + lane);
    }
}

struct Moments {
    Vector mean, inverse;  // of the standard deviation
};
template <class Part>
INLINE Moments moments_of_set(const Sets& a, int64_t set, int64_t lane, const float* x, Part part) {
    const Vector mean = mean_of_set(a, set, lane, [&](int64_t i) { return part.read(x + i); });
    const Vector variance = mean_of_set(a, set, lane, [&](int64_t i) {
        const Vector distance = part.read(x + i) - mean;
        return distance * distance;
    });
    return {mean, 1.0f / square_root(variance + a.epsilon)};
}

static void standardize(const Sets& a, const float* x, float* y, Share share) {
    const Range mine = share_of(a.sets, share);
    for (int64_t set = mine.first; set < mine.last; ++set)
        for_vectors(0, a.lanes, [&](int64_t lane, auto part) {
            const Moments m = moments_of_set(a, set, lane, x, part);
            for_set(a, set, lane, [&](int64_t i) {
                part.write(y + i, (part.read(x + i) - m.mean) * m.inverse);
            });
        });
}

// (delta - mean of delta - z * mean of delta z) / deviation, z being the standardized x.
static void standardize_gradient(const Sets& a, const float* delta, const float* x, float* x_delta,
                                 Share share) {
    const Range mine = share_of(a.sets, share);
    for (int64_t set = mine.first; set < mine.last; ++set)
        for_vectors(0, a.lanes, [&](int64_t lane, auto part) {
            const Moments m = moments_of_set(a, set, lane, x, part);
            const auto z = [&](int64_t i) { return (part.read(x + i) - m.mean) * m.inverse; };
            const Vector mean =
                mean_of_set(a, set, lane, [&](int64_t i) { return part.read(delta + i); });
            const Vector product =
                mean_of_set(a, set, lane, [&](int64_t i) { return part.read(delta + i) * z(i); });
            for_set(a, set, lane, [&](int64_t i) {
                const Vector centred = part.read(delta + i) - mean - z(i) * product;
                part.write(x_delta + i, centred * m.inverse);
            });
        });
}

// Sums over neighbouring channels are taken from a row of one position's numbers with zeros to
// either side, so that its vectors are full whatever the number of lanes.
INLINE void clear_margins(const Neighbours& a, float* row) {
    const int64_t margin = a.radius * a.lanes;
    memset(row, 0, 4 * margin);
    memset(row + margin + a.channels * a.lanes, 0, 4 * margin);
}

template <class Part>
INLINE Vector sum_of_neighbours(const Neighbours& a, const float* row, int64_t i, Part part) {
    Vector total = {};
    for (int64_t k = 0; k <= 2 * a.radius; ++k) total += part.read(row + i + k * a.lanes);
    return total;
}

INLINE void fill_squares(const Neighbours& a, const float* x, float* row) {
    for_vectors(0, a.channels * a.lanes, [&](int64_t i, auto part) {
        const Vector v = part.read(x + i);
        part.write(row + a.radius * a.lanes + i, v * v);
    });
}

// x s^-beta with s = bias + alpha * sum of x^2 over the neighbours; `rows` is the thread's own.
static void local_response_normalization(const Neighbours& a, const float* x, float* y, float* rows,
                                         Share share) {
    const Range mine = share_of(a.positions, share);
    const int64_t size = a.channels * a.lanes;
    clear_margins(a, rows);
    for (int64_t p = mine.first; p < mine.last; ++p) {
        fill_squares(a, x + p * size, rows);
        for_vectors(0, size, [&](int64_t i, auto part) {
            const Vector s = sum_of_neighbours(a, rows, i, part) * a.alpha + a.bias;
            const Vector power = exponential(logarithm(s) * -a.beta);
            part.write(y + p * size + i, part.read(x + p * size + i) * power);
        });
    }
}

// delta s^-beta - 2 alpha beta x * sum of delta x s^(-beta - 1) over the neighbours.
static void local_response_normalization_gradient(const Neighbours& a, const float* delta,
                                                  const float* x, float* x_delta, float* rows,
                                                  Share share) {
    const Range mine = share_of(a.positions, share);
    const int64_t size = a.channels * a.lanes, margin = a.radius * a.lanes;
    float* shared = rows + size + 2 * margin;
    clear_margins(a, rows);
    clear_margins(a, shared);
    for (int64_t p = mine.first; p < mine.last; ++p) {
        const float *d = delta + p * size, *in = x + p * size;
        float* out = x_delta + p * size;
        fill_squares(a, in, rows);
        for_vectors(0, size, [&](int64_t i, auto part) {
            const Vector s = sum_of_neighbours(a, rows, i, part) * a.alpha + a.bias;
            const Vector straight = part.read(d + i) * exponential(logarithm(s) * -a.beta);
            part.write(out + i, straight);
            part.write(shared + margin + i, straight * part.read(in + i) / s);
        });
        for_vectors(0, size, [&](int64_t i, auto part) {
            const Vector total = sum_of_neighbours(a, shared, i, part) * (2 * a.alpha * a.beta);
            part.write(out + i, part.read(out + i) - part.read(in + i) * total);
        });
    }
}
