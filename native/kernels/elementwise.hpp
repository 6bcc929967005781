// What treats every number by itself: biases, sums, scales, dropout.
#pragma once

// body(place, channel, part) for every vector of lanes (one lane: of channels).
template <class Body>
INLINE void for_channels(int64_t positions, int64_t channels, int64_t lanes, Share share,
                         Body body) {
    if (lanes == 1) {
        const Range mine = share_of(positions, share);
        for (int64_t p = mine.first; p < mine.last; ++p)
            for_vectors(0, channels,
                        [&](int64_t c, auto part) { body(p * channels + c, c, part); });
        return;
    }
    const Range mine = share_of(positions * channels, share);
    for (int64_t row = mine.first; row < mine.last; ++row)
        for_vectors(0, lanes, [&](int64_t lane, auto part) {
            body(row * lanes + lane, row % channels, part);
        });
}

static void add_bias(const float* x, const float* bias, float* y, int64_t positions,
                     int64_t channels, int64_t lanes, Share share) {
    for_channels(positions, channels, lanes, share, [&](int64_t i, int64_t c, auto part) {
        part.write(y + i, part.read(x + i) + of_channel(bias, c, lanes, part));
    });
}

static void add(const float* x, const float* y, float* z, int64_t count, Share share) {
    const Range mine = share_of(count, share);
    for_vectors(mine.first, mine.last, [&](int64_t i, auto part) {
        part.write(z + i, part.read(x + i) + part.read(y + i));
    });
}

static void rescale(const float* x, const float* scale, const float* offset, float* y,
                    int64_t positions, int64_t channels, int64_t lanes, Share share) {
    for_channels(positions, channels, lanes, share, [&](int64_t i, int64_t c, auto part) {
        const Vector factor = of_channel(scale, c, lanes, part);
        part.write(y + i, part.read(x + i) * factor + of_channel(offset, c, lanes, part));
    });
}

static void scale(const float* x, const float* gamma, float* y, int64_t positions,
                  int64_t channels, int64_t lanes, Share share) {
    for_channels(positions, channels, lanes, share, [&](int64_t i, int64_t c, auto part) {
        part.write(y + i, part.read(x + i) * of_channel(gamma, c, lanes, part));
    });
}

// gradient[c] += sum over positions and images of x * delta; with one lane vectors are channels.
static void scale_gradient(const float* x, const float* delta, int64_t positions, int64_t channels,
                           int64_t lanes, float* gradient, Share share) {
    const Range mine = share_of(channels, share);
    if (lanes == 1) {
        for_vectors(mine.first, mine.last, [&](int64_t c, auto part) {
            Vector total = part.read(gradient + c);
            for (int64_t i = c; i < positions * channels; i += channels)
                total = multiply_add(part.read(x + i), part.read(delta + i), total);
            part.write(gradient + c, total);
        });
        return;
    }
    for (int64_t c = mine.first; c < mine.last; ++c) {
        Vector total = {};
        for (int64_t p = 0; p < positions; ++p)
            for_vectors((p * channels + c) * lanes, (p * channels + c + 1) * lanes,
                        [&](int64_t i, auto part) {
                            total = multiply_add(part.read(x + i), part.read(delta + i), total);
                        });
        gradient[c] += sum(total);
    }
}

// Four units of an image share a counter, (unit / 4, image, step, layer).
static void dropout(const Dropout& a, const float* x, float* y, Share share) {
    const double threshold = __builtin_nearbyint((1.0 - a.rate) * 4294967296.0);
    const float scale = (float)(1.0 / (1.0 - a.rate));
    const Range mine = share_of((a.units + 3) / 4, share);
    for (int64_t quad = mine.first; quad < mine.last; ++quad)
        for (int64_t lane = 0; lane < a.lanes; ++lane) {
            uint32_t words[4] = {(uint32_t)quad, (uint32_t)(a.first_image + lane),
                                 (uint32_t)a.step, a.layer};
            philox(words, (uint32_t)a.seed, (uint32_t)(a.seed >> 32));
            for (int64_t unit = 4 * quad; unit < 4 * quad + 4 && unit < a.units; ++unit) {
                const int64_t i = unit * a.lanes + lane;
                y[i] = (double)words[unit % 4] < threshold ? x[i] * scale : 0.0f;
            }
        }
}
