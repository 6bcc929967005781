// What makes one block of several: products, extrema, and blocks side by side.
//
// Number by number, so one loop serves any number of lanes, and threads share the numbers.
#pragma once

static void multiply(const float* x, const float* y, float* z, int64_t count, Share share) {
    const Range mine = share_of(count, share);
    for_vectors(mine.first, mine.last, [&](int64_t i, auto part) {
        part.write(z + i, part.read(x + i) * part.read(y + i));
    });
}

// Whether the first number is the extremum: the larger one if `sign` is 1, the smaller one if -1.
// A number that is none counts as one, so that it is passed on.
INLINE bool is_first(float x, float y, float sign) { return x * sign >= y * sign || x != x; }

static void extremum(const float* x, const float* y, float* z, int64_t count, float sign,
                     Share share) {
    const Range mine = share_of(count, share);
    for (int64_t i = mine.first; i < mine.last; ++i) {
        const float a = x[i], b = y[i];
        z[i] = is_first(a, b, sign) ? a : b;
    }
}

static void extremum_gradient(const float* delta, const float* x, const float* y, float* x_delta,
                              float* y_delta, int64_t count, float sign, Share share) {
    const Range mine = share_of(count, share);
    for (int64_t i = mine.first; i < mine.last; ++i) {
        const float d = delta[i];
        const bool first = is_first(x[i], y[i], sign);
        x_delta[i] = first ? d : 0.0f;
        y_delta[i] = first ? 0.0f : d;
    }
}

// `count` runs of `length` numbers, one every x_step numbers, to places y_step apart.
static void copy_runs(const float* x, int64_t x_step, float* y, int64_t y_step, int64_t count,
                      int64_t length, Share share) {
    const Range mine = share_of(count * length, share);
    for (int64_t i = mine.first; i < mine.last;) {
        const int64_t run = i / length, begin = i % length;
        const int64_t rest = mine.last - i, there = length - begin;
        const int64_t numbers = rest < there ? rest : there;
        const float* from = x + run * x_step + begin;
        float* to = y + run * y_step + begin;
        for_vectors(0, numbers, [&](int64_t n, auto part) { part.write(to + n, part.read(from + n)); });
        i += numbers;
    }
}
