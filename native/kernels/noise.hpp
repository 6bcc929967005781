// What is drawn for every unit or channel of an image: dropout by channel, Gaussian noise. The words
// are those of dropout (elementwise.hpp): four units share a counter.
#pragma once

// Calls body(unit, words of that unit for all lanes) for the share's units; `words` has room for
// four units.
template <class Body>
INLINE void for_units(const Dropout& a, uint32_t* words, Share share, Body body) {
    const Range mine = share_of((a.units + 3) / 4, share);
    for (int64_t quad = mine.first; quad < mine.last; ++quad) {
        for (int64_t lane = 0; lane < a.lanes; ++lane) {
            uint32_t counter[4] = {(uint32_t)quad, (uint32_t)(a.first_image + lane),
                                   (uint32_t)a.step, a.layer};
            philox(counter, (uint32_t)a.seed, (uint32_t)(a.seed >> 32));
            for (int n = 0; n < 4; ++n) words[n * a.lanes + lane] = counter[n];
        }
        for (int n = 0; n < 4 && 4 * quad + n < a.units; ++n)
            body(4 * quad + n, words + n * a.lanes);
    }
}

// Units are channels, of which each position has one.
static void spatial_dropout(const Dropout& a, int64_t positions, const float* x, float* y,
                            float* scratch, Share share) {
    const double threshold = __builtin_nearbyint((1.0 - a.rate) * 4294967296.0);
    const float scale = (float)(1.0 / (1.0 - a.rate));
    float* kept = scratch;
    for_units(a, (uint32_t*)(scratch + a.lanes), share, [&](int64_t channel, const uint32_t* words) {
        for (int64_t lane = 0; lane < a.lanes; ++lane)
            kept[lane] = (double)words[lane] < threshold ? 1.0f : 0.0f;
        for (int64_t p = 0; p < positions; ++p) {
            const int64_t row = (p * a.units + channel) * a.lanes;
            for_vectors(0, a.lanes, [&](int64_t lane, auto part) {
                const Vector v = part.read(x + row + lane) * scale;
                part.write(y + row + lane, choose(part.read(kept + lane) > 0.0f, v, Vector{}));
            });
        }
    });
}

// `rate` is the standard deviation; scratch holds a word's first bit as a sign, and the others as
// the probability below 1/2.
static void gaussian_noise(const Dropout& a, const float* x, float* y, float* scratch,
                           Share share) {
    float *sign = scratch, *beyond = scratch + a.lanes;
    const float scale = (float)(a.rate * 1.4142135623730951);
    for_units(a, (uint32_t*)(scratch + 2 * a.lanes), share,
              [&](int64_t unit, const uint32_t* words) {
                  for (int64_t lane = 0; lane < a.lanes; ++lane) {
                      sign[lane] = words[lane] >> 31 ? -scale : scale;
                      beyond[lane] =
                          (float)(((words[lane] & 0x7fffffff) + 0.5) * (1 / 4294967296.0));
                  }
                  for_vectors(0, a.lanes, [&](int64_t lane, auto part) {
                      const Vector u = part.read(beyond + lane);
                      const Vector w = -logarithm(u * 4.0f * (1.0f - u));
                      const Vector z = inverse_error_function(w) * (1.0f - u * 2.0f);
                      const int64_t i = unit * a.lanes + lane;
                      part.write(y + i, multiply_add(z, part.read(sign + lane), part.read(x + i)));
                  });
              });
}
