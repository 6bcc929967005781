// Softmax and its logarithm over the channels of a position, and their gradients.
//
// Channels are added up in order, each lane by itself, so an image's result does not depend on how
// many images lie beside it.
#pragma once

// Calls body(pointer offset, part) for the vectors of lanes at each position of the share.
template <class Body>
INLINE void for_positions(int64_t positions, int64_t channels, int64_t lanes, Share share,
                          Body body) {
    const Range mine = share_of(positions, share);
    for (int64_t p = mine.first; p < mine.last; ++p)
        for_vectors(0, lanes, [&](int64_t lane, auto part) {
            body(p * channels * lanes + lane, part);
        });
}

INLINE Vector logarithm_of(Vector x) {
    float v[WIDTH];
    store(v, x);
    for (int i = 0; i < WIDTH; ++i) v[i] = logf(v[i]);
    return load(v);
}

static void softmax(const float* x, float* y, int64_t positions, int64_t channels, int64_t lanes,
                    bool logarithm, Share share) {
    for_positions(positions, channels, lanes, share, [&](int64_t start, auto part) {
        const float* z = x + start;
        Vector largest = part.read(z), total = {};
        for (int64_t c = 1; c < channels; ++c) {
            const Vector v = part.read(z + c * lanes);
            largest = choose(replaces(v, largest), v, largest);
        }
        for (int64_t c = 0; c < channels; ++c) {
            const Vector e = exponential(part.read(z + c * lanes) - largest);
            total += e;
            if (!logarithm) part.write(y + start + c * lanes, e);
        }
        const Vector log_total = logarithm ? logarithm_of(total) : total;
        for (int64_t c = 0; c < channels; ++c) {
            float* out = y + start + c * lanes;
            if (logarithm) part.write(out, part.read(z + c * lanes) - largest - log_total);
            else part.write(out, part.read(out) / total);
        }
    });
}

// softmax: y (delta - sum of delta y); its logarithm: delta - e^y * sum of delta.
static void softmax_gradient(const float* delta, const float* y, float* x_delta, int64_t positions,
                             int64_t channels, int64_t lanes, bool logarithm, Share share) {
    for_positions(positions, channels, lanes, share, [&](int64_t start, auto part) {
        Vector total = {};
        for (int64_t c = 0; c < channels; ++c) {
            const Vector d = part.read(delta + start + c * lanes);
            total += logarithm ? d : d * part.read(y + start + c * lanes);
        }
        for (int64_t c = 0; c < channels; ++c) {
            const int64_t i = start + c * lanes;
            const Vector d = part.read(delta + i), known = part.read(y + i);
            part.write(x_delta + i, logarithm ? d - exponential(known) * total : known * (d - total));
        }
    });
}
