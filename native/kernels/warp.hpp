// Warps of images, the smooth random fields that displace their pixels, and the words for both.
#pragma once

// The first `count` values, at most all.
INLINE void store_first_or_all(float* p, Vector v, int64_t count) {
    if (count >= WIDTH) store(p, v);
    else store_first(p, v, count);
}

// --- random words ---

// Counters are (place, image, epoch, operation), 64 of them side by side for the registers' sake.
static void random_words(const Draw& draw, uint32_t image, int64_t counters, uint32_t* words) {
    constexpr int64_t SIDE = 64;
    int64_t first = 0;
    for (; first + SIDE / 4 <= counters; first += SIDE) {
        uint32_t c0[SIDE], c1[SIDE], c2[SIDE], c3[SIDE];
        for (int64_t n = 0; n < SIDE; ++n) {
            c0[n] = (uint32_t)(first + n);
            c1[n] = image, c2[n] = draw.epoch, c3[n] = draw.operation;
        }
        uint32_t key0 = (uint32_t)draw.seed, key1 = (uint32_t)(draw.seed >> 32);
        for (int round = 0; round < 10; ++round, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u)
            for (int64_t n = 0; n < SIDE; ++n) {
                const uint64_t product0 = (uint64_t)0xD2511F53u * c0[n];
                const uint64_t product1 = (uint64_t)0xCD9E8D57u * c2[n];
                c0[n] = (uint32_t)(product1 >> 32) ^ c1[n] ^ key0;
                c1[n] = (uint32_t)product1;
                c2[n] = (uint32_t)(product0 >> 32) ^ c3[n] ^ key1;
                c3[n] = (uint32_t)product0;
            }
        const int64_t count = counters - first < SIDE ? counters - first : SIDE;
        const uint32_t* const of_four[4] = {c0, c1, c2, c3};
        for (int64_t k = 0; k < 4; ++k)
            memcpy(words + k * counters + first, of_four[k], 4 * count);
    }
    for (; first < counters; ++first) {
        uint32_t c[4] = {(uint32_t)first, image, draw.epoch, draw.operation};
        philox(c, (uint32_t)draw.seed, (uint32_t)(draw.seed >> 32));
        for (int64_t k = 0; k < 4; ++k) words[k * counters + first] = c[k];
    }
}

// A word's first bit is the sign, the others are the probability below 1/2 (convlet/ops/noise.py).
static void normals(const uint32_t* words, int64_t count, float* y) {
    float beyond[WIDTH], sign[WIDTH];
    for (int64_t first = 0; first < count; first += WIDTH) {
        const int64_t here = count - first < WIDTH ? count - first : WIDTH;
        for (int64_t n = 0; n < WIDTH; ++n) {
            const uint32_t word = n < here ? words[first + n] : 0;
            sign[n] = word >> 31 ? -1.41421356f : 1.41421356f;
            beyond[n] = (float)(((word & 0x7fffffff) + 0.5) * (1 / 4294967296.0));
        }
        const Vector u = load(beyond);
        const Vector w = -logarithm(u * 4.0f * (1.0f - u));
        store_first_or_all(y + first, inverse_error_function(w) * (1.0f - u * 2.0f) * load(sign),
                           here);
    }
}

// --- displacement fields ---

constexpr int64_t ROWS = 4;  // smoothed at a time

// Where a field's parts lie in scratch, in floats. Noise has `radius` zeros on both sides of each
// row, rows that are smoothed have `radius` rows of zeros above and below.
struct FieldPlaces {
    int64_t rows, pitch, stride;                  // of one field, whole tiles
    int64_t noise, smoothed, fields, words, end;  // noise and the others: rows' field, columns' field
};
INLINE FieldPlaces places_of(const WarpShape& s, const Smoothing& g) {
    FieldPlaces p;
    p.rows = (s.new_height + ROWS - 1) / ROWS * ROWS;
    p.pitch = (s.new_width + WIDTH - 1) / WIDTH * WIDTH;
    p.stride = p.pitch + 2 * g.radius;
    p.noise = 0;
    p.smoothed = p.noise + 2 * p.rows * p.stride;
    p.fields = p.smoothed + 2 * (p.rows + 2 * g.radius) * p.pitch;
    p.words = p.fields + 2 * p.rows * p.pitch;
    p.end = p.words + (s.new_height * s.new_width + 3) / 4 * 4;
    return p;
}

static int64_t warp_scratch(const WarpShape& shape, const Smoothing& smoothing) {
    return smoothing.taps ? places_of(shape, smoothing).end : 0;
}

// A word's halves become a number from -1 to 1 for each field.
INLINE void spread_noise(const WarpShape& s, const Smoothing& g, const FieldPlaces& p,
                         float* scratch) {
    const uint32_t* words = (const uint32_t*)(scratch + p.words);
    for (int64_t row = 0; row < s.new_height; ++row) {
        float* of_rows = scratch + p.noise + row * p.stride + g.radius;
        float* of_columns = of_rows + p.rows * p.stride;
        const uint32_t* of_row = words + row * s.new_width;
        for (int64_t n = 0; n < s.new_width; ++n) {
            of_rows[n] = ((float)(int32_t)(of_row[n] & 0xffff) + 0.5f) * (1.0f / 32768) - 1.0f;
            of_columns[n] = ((float)(int32_t)(of_row[n] >> 16) + 0.5f) * (1.0f / 32768) - 1.0f;
        }
    }
}

// Sums of `taps` times what stands `step` apart, for a register of each of four rows of two fields.
struct Tap {
    int64_t first, last, step;
};
INLINE void smooth_tile(const float* taps, const Tap& t, const float* x, int64_t x_pitch,
                        int64_t x_field, float* y, int64_t y_pitch, int64_t y_field) {
    Vector sums[2][ROWS] = {};
    for (int64_t n = t.first; n < t.last; ++n) {
        const Vector tap = broadcast(taps[n]);
        for (int64_t field = 0; field < 2; ++field)
            for (int64_t row = 0; row < ROWS; ++row)
                sums[field][row] = multiply_add(
                    load(x + field * x_field + row * x_pitch + n * t.step), tap, sums[field][row]);
    }
    for (int64_t field = 0; field < 2; ++field)
        for (int64_t row = 0; row < ROWS; ++row)
            store(y + field * y_field + row * y_pitch, sums[field][row]);
}

// Noise, smoothed along rows and then along columns; what is beyond the image counts as zero.
static void displacement_fields(const WarpShape& s, const Smoothing& g, const FieldPlaces& p,
                                float* scratch) {
    spread_noise(s, g, p, scratch);
    const int64_t taps = 2 * g.radius + 1, tall = p.rows + 2 * g.radius;
    float* noise = scratch + p.noise;
    float* smoothed = scratch + p.smoothed;
    for (int64_t row = 0; row < p.rows; row += ROWS)
        for (int64_t n = 0; n < p.pitch; n += WIDTH)
            smooth_tile(g.taps, {0, taps, 1}, noise + row * p.stride + n, p.stride,
                        p.rows * p.stride, smoothed + (row + g.radius) * p.pitch + n, p.pitch,
                        tall * p.pitch);
    for (int64_t row = 0; row < p.rows; row += ROWS) {
        // rows above and below the image are zero
        const int64_t above = g.radius - (row + ROWS - 1), below = g.radius + p.rows - row;
        const Tap rows{above > 0 ? above : 0, below < taps ? below : taps, p.pitch};
        for (int64_t n = 0; n < p.pitch; n += WIDTH)
            smooth_tile(g.taps, rows, smoothed + row * p.pitch + n, p.pitch, tall * p.pitch,
                        scratch + p.fields + row * p.pitch + n, p.pitch, p.rows * p.pitch);
    }
}

// --- warps ---

INLINE Vector gather(const float* p, Integers at) {
#if defined(__AVX512F__)
    return (Vector)_mm512_mask_i32gather_ps(__m512{}, (__mmask16)-1, (__m512i)at, p, 4);
#elif defined(__AVX2__)
    return (Vector)_mm256_i32gather_ps(p, (__m256i)at, 4);
#else
    Vector v = {};
    for (int n = 0; n < WIDTH; ++n) v[n] = p[at[n]];
    return v;
#endif
}

INLINE Integers round_down(Vector v) {
    const Integers cut = __builtin_convertvector(v, Integers);
    return cut + (__builtin_convertvector(cut, Vector) > v);  // a comparison that holds is -1
}

// The remainder of i by `period`, from 0 up; both are below 2^24, so floats hold them.
INLINE Integers modulo(Integers i, int32_t period) {
    const Vector quotient = __builtin_convertvector(i, Vector) * (1.0f / (float)period);
    Integers rest = i - round_down(quotient) * period;
    rest += (rest < 0) & period;  // the quotient is rounded
    return rest - ((rest >= period) & period);
}

// The pixel that stands for number i along an axis; `outside` tells where there is none.
template <FillMode MODE>
INLINE Integers pixel_along(Integers i, int32_t size, Integers& outside) {
    if constexpr (MODE == FillMode::wrap) return modulo(i, size);
    if constexpr (MODE == FillMode::reflect) {
        const Integers there = modulo(i, 2 * size);
        return there < size ? there : 2 * size - 1 - there;
    }
    if constexpr (MODE == FillMode::constant) outside |= (i < 0) | (i >= size);
    i = i < 0 ? Integers{} : i;
    return i >= size ? Integers{} + (size - 1) : i;
}

struct Corner {
    Integers at, outside;
};
template <FillMode MODE>
INLINE Corner corner(const WarpShape& s, Integers row, Integers column) {
    Corner c{{}, {}};
    const Integers r = pixel_along<MODE>(row, (int32_t)s.height, c.outside);
    const Integers k = pixel_along<MODE>(column, (int32_t)s.width, c.outside);
    c.at = (r * (int32_t)s.width + k) * (int32_t)s.channels;
    return c;
}
template <FillMode MODE>
INLINE Vector value_at(const WarpShape& s, const Corner& c, const float* x) {
    const Vector v = gather(x, c.at);
    return MODE == FillMode::constant ? choose(c.outside, broadcast(s.fill_value), v) : v;
}

INLINE void store_channel(float* y, Vector v, int64_t count, int64_t channels) {
    if (channels == 1) return store_first_or_all(y, v, count);
    float values[WIDTH];
    store(values, v);
    for (int64_t n = 0; n < WIDTH && n < count; ++n) y[n * channels] = values[n];
}

// A register of pixels from (row, column) + moved, on to y.
template <FillMode MODE, bool NEAREST>
INLINE void warp_pixels(const WarpShape& s, Integers row, Integers column, Vector down,
                        Vector right, const float* x, float* y, int64_t count) {
    const Vector limit = broadcast(4194304.0f);  // 2^22: with the pixel's own place still exact
    down = larger(smaller(down, limit), -limit), right = larger(smaller(right, limit), -limit);
    if constexpr (NEAREST) down += 0.5f, right += 0.5f;
    const Integers rows_down = round_down(down), columns_right = round_down(right);
    row += rows_down, column += columns_right;
    const Corner first = corner<MODE>(s, row, column);
    if constexpr (NEAREST) {
        for (int64_t c = 0; c < s.channels; ++c)
            store_channel(y + c, value_at<MODE>(s, first, x + c), count, s.channels);
        return;
    }
    const Corner beside = corner<MODE>(s, row, column + 1), under = corner<MODE>(s, row + 1, column);
    const Corner across = corner<MODE>(s, row + 1, column + 1);
    down -= __builtin_convertvector(rows_down, Vector);
    right -= __builtin_convertvector(columns_right, Vector);
    for (int64_t c = 0; c < s.channels; ++c) {
        const Vector a = value_at<MODE>(s, first, x + c), b = value_at<MODE>(s, beside, x + c);
        const Vector d = value_at<MODE>(s, under, x + c), e = value_at<MODE>(s, across, x + c);
        const Vector upper = multiply_add(right, b - a, a), lower = multiply_add(right, e - d, d);
        store_channel(y + c, multiply_add(down, lower - upper, upper), count, s.channels);
    }
}

template <FillMode MODE, bool NEAREST>
static void warp_image(const WarpShape& s, const float* fields, int64_t pitch, int64_t field,
                       const float* m, const float* x, float* y) {
    Integers steps;
    for (int n = 0; n < WIDTH; ++n) steps[n] = n;
    for (int64_t row = 0; row < s.new_height; ++row)
        for (int64_t first = 0; first < s.new_width; first += WIDTH) {
            const Integers column = steps + (int32_t)first;
            const Vector p = __builtin_convertvector(column, Vector);
            Vector down = multiply_add(p, broadcast(m[1]), broadcast(m[0] * (float)row + m[2]));
            Vector right = multiply_add(p, broadcast(m[4]), broadcast(m[3] * (float)row + m[5]));
            if (fields) {
                const Vector d0 = load(fields + row * pitch + first);
                const Vector d1 = load(fields + field + row * pitch + first);
                down = multiply_add(d0, broadcast(m[6]), multiply_add(d1, broadcast(m[7]), down));
                right = multiply_add(d0, broadcast(m[8]), multiply_add(d1, broadcast(m[9]), right));
            }
            warp_pixels<MODE, NEAREST>(s, Integers{} + (int32_t)row, column, down, right, x,
                                       y + (row * s.new_width + first) * s.channels,
                                       s.new_width - first);
        }
}

template <FillMode MODE>
INLINE void warp_filled(const WarpShape& s, const float* fields, int64_t pitch, int64_t field,
                        const float* m, const float* x, float* y) {
    s.nearest ? warp_image<MODE, true>(s, fields, pitch, field, m, x, y)
              : warp_image<MODE, false>(s, fields, pitch, field, m, x, y);
}

static void warp(const WarpShape& s, const Smoothing& g, const Draw& draw, uint32_t image,
                 const float* changes, const float* x, float* y, float* scratch) {
    const FieldPlaces p = places_of(s, g);
    if (g.taps) {
        random_words(draw, image, (s.new_height * s.new_width + 3) / 4,
                     (uint32_t*)(scratch + p.words));
        displacement_fields(s, g, p, scratch);
    }
    const float* fields = g.taps ? scratch + p.fields : nullptr;
    const int64_t field = p.rows * p.pitch;
    switch (s.fill_mode) {
        case FillMode::constant:
            return warp_filled<FillMode::constant>(s, fields, p.pitch, field, changes, x, y);
        case FillMode::nearest:
            return warp_filled<FillMode::nearest>(s, fields, p.pitch, field, changes, x, y);
        case FillMode::reflect:
            return warp_filled<FillMode::reflect>(s, fields, p.pitch, field, changes, x, y);
        case FillMode::wrap:
            return warp_filled<FillMode::wrap>(s, fields, p.pitch, field, changes, x, y);
    }
}
