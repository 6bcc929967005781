// Convolution by the Fourier transform, tile by tile.
//
// A tile of x, T points along each axis, and the kernel, padded with zeros to as many, are
// transformed; there, a convolution is a product (lecture 000), and what comes back is right for the
// T - taps + 1 outputs whose windows lie inside the tile (overlap-save). A tile of 16 x 16 gives
// 14 x 14 outputs of a 3 x 3 kernel with 1.9 multiplications each instead of 9, and 8 x 8 of a 9 x 9
// kernel with 6 instead of 81; the transforms are paid once for each channel, the products for each
// pair of channels.
//
//     y = back( sum over channels of X * conj(W) )        W's gradient = back( sum of X * conj(D) )
//
// The numbers are real, so of each pair of conjugate frequencies one is kept: frequencies are real
// or complex. A product of complex numbers is three of real ones (Gauss):
//
//     (a + bi) * conj(c + di):  k1 = c (a + b),  k2 = b (c - d),  k3 = a (c + d),
//                               k1 - k2 + i (k1 - k3)
//
// so a transformed tile is a list of real numbers, `slots`: of x the factors (a + b, b, a) of each
// complex frequency, of a kernel (c, c - d, c + d). What happens in a slot is an ordinary product of
// matrices, [row][channel] by [channel][image and tile].
//
// Transforms run on whole vectors, images or channels side by side, so they are loops without
// shuffles. They are those of real numbers along one axis after the other: a *line* is a row of points
// along one axis, of reals, or of complex numbers in two places. native/fourier.cpp lists the lines
// and cuts images into tiles; engine/fourier.py decides where it pays.
#pragma once

// --- transforms of N reals, N = 1, 3, or twice such a number ---

// cos and sin of 2 pi k / N; the compiler folds them.
template <int N>
INLINE float cosine(int k) { return (float)__builtin_cos(6.283185307179586476925 * k / N); }
template <int N>
INLINE float sine(int k) { return (float)__builtin_sin(6.283185307179586476925 * k / N); }

// Where a transform reads its points and the way back writes them: x[0], x[step] ..
struct Points {
    Vector* x;
    int64_t step;
    INLINE_MEMBER Vector read(int j) const { return x[j * step]; }
    INLINE_MEMBER void write(int j, Vector v) const { x[j * step] = v; }
};

// Frequencies 0 .. N/2 of N points, every STEP-th from FIRST on; im[0] and, for even N, im[N/2] are zero
// and not written.
template <int N, int FIRST = 0, int STEP = 1, class Source>
INLINE void real_transform(const Source& x, Vector* re, Vector* im) {
    if constexpr (N == 1) {
        re[0] = x.read(FIRST);
    } else if constexpr (N == 2) {
        const Vector a = x.read(FIRST), b = x.read(FIRST + STEP);
        re[0] = a + b;
        re[1] = a - b;
    } else if constexpr (N == 3) {
        const Vector a = x.read(FIRST), b = x.read(FIRST + STEP), c = x.read(FIRST + 2 * STEP);
        const Vector total = b + c;
        re[0] = a + total;
        re[1] = a - total * 0.5f;
        im[1] = (c - b) * sine<3>(1);
    } else {
        constexpr int H = N / 2;
        Vector even_re[H / 2 + 1], even_im[H / 2 + 1], odd_re[H / 2 + 1], odd_im[H / 2 + 1];
        real_transform<H, FIRST, 2 * STEP>(x, even_re, even_im);
        real_transform<H, FIRST + STEP, 2 * STEP>(x, odd_re, odd_im);
        re[0] = even_re[0] + odd_re[0];
        re[H] = even_re[0] - odd_re[0];
#pragma GCC unroll 64
        for (int k = 1; 2 * k < H; ++k) {
            const float c = cosine<N>(k), s = sine<N>(k);
            const Vector turned_re = multiply_add(odd_im[k], broadcast(s), odd_re[k] * c);
            const Vector turned_im = multiply_add(odd_re[k], broadcast(-s), odd_im[k] * c);
            re[k] = even_re[k] + turned_re;
            im[k] = even_im[k] + turned_im;
            re[H - k] = even_re[k] - turned_re;
            im[H - k] = turned_im - even_im[k];
        }
        if constexpr (H % 2 == 0) {
            re[H / 2] = even_re[H / 2];
            im[H / 2] = Vector{} - odd_re[H / 2];
        }
    }
}

// The way back, N times as large.
template <int N, int FIRST = 0, int STEP = 1, class Sink>
INLINE void real_inverse(const Vector* re, const Vector* im, const Sink& x) {
    if constexpr (N == 1) {
        x.write(FIRST, re[0]);
    } else if constexpr (N == 2) {
        x.write(FIRST, re[0] + re[1]);
        x.write(FIRST + STEP, re[0] - re[1]);
    } else if constexpr (N == 3) {
        const Vector rest = re[0] - re[1], turned = im[1] * (2 * sine<3>(1));
        x.write(FIRST, multiply_add(re[1], broadcast(2.0f), re[0]));
        x.write(FIRST + STEP, rest - turned);
        x.write(FIRST + 2 * STEP, rest + turned);
    } else {
        constexpr int H = N / 2;
        Vector even_re[H / 2 + 1], even_im[H / 2 + 1], odd_re[H / 2 + 1], odd_im[H / 2 + 1];
        even_re[0] = re[0] + re[H];
        odd_re[0] = re[0] - re[H];
#pragma GCC unroll 64
        for (int k = 1; 2 * k < H; ++k) {
            const float c = cosine<N>(k), s = sine<N>(k);
            even_re[k] = re[k] + re[H - k];
            even_im[k] = im[k] - im[H - k];
            const Vector turned_re = re[k] - re[H - k], turned_im = im[k] + im[H - k];
            odd_re[k] = multiply_add(turned_im, broadcast(-s), turned_re * c);
            odd_im[k] = multiply_add(turned_re, broadcast(s), turned_im * c);
        }
        if constexpr (H % 2 == 0) {
            even_re[H / 2] = re[H / 2] * 2.0f;
            odd_re[H / 2] = im[H / 2] * -2.0f;
        }
        real_inverse<H, FIRST, 2 * STEP>(even_re, even_im, x);
        real_inverse<H, FIRST + STEP, 2 * STEP>(odd_re, odd_im, x);
    }
}

// --- lines in the buffer of a tile ---

// Frequencies of a line of complex numbers, all N of them, from those of its two lines of reals.
template <int N>
INLINE void complex_transform(const Points& x, const Points& y, Vector* re, Vector* im) {
    Vector a_re[N / 2 + 1], a_im[N / 2 + 1], b_re[N / 2 + 1], b_im[N / 2 + 1];
    real_transform<N>(x, a_re, a_im);
    real_transform<N>(y, b_re, b_im);
    re[0] = a_re[0];
    im[0] = b_re[0];
    if constexpr (N > 1) {
        re[N / 2] = a_re[N / 2];
        im[N / 2] = b_re[N / 2];
    }
#pragma GCC unroll 64
    for (int k = 1; 2 * k < N; ++k) {
        re[k] = a_re[k] - b_im[k];
        im[k] = a_im[k] + b_re[k];
        re[N - k] = a_re[k] + b_im[k];
        im[N - k] = b_re[k] - a_im[k];
    }
}

template <int N>
INLINE void complex_inverse(const Vector* re, const Vector* im, const Points& x, const Points& y) {
    Vector a_re[N / 2 + 1], a_im[N / 2 + 1], b_re[N / 2 + 1], b_im[N / 2 + 1];
    a_re[0] = re[0];
    b_re[0] = im[0];
    if constexpr (N > 1) {
        a_re[N / 2] = re[N / 2];
        b_re[N / 2] = im[N / 2];
    }
#pragma GCC unroll 64
    for (int k = 1; 2 * k < N; ++k) {
        a_re[k] = (re[k] + re[N - k]) * 0.5f;
        a_im[k] = (im[k] - im[N - k]) * 0.5f;
        b_re[k] = (im[k] + im[N - k]) * 0.5f;
        b_im[k] = (re[N - k] - re[k]) * 0.5f;
    }
    real_inverse<N>(a_re, a_im, x);
    real_inverse<N>(b_re, b_im, y);
}

// The real frequencies of a line of reals lie where its points were; the imaginary parts from N/2 on.
template <int N, class Source>
INLINE void transform_reals(const Source& source, const Points& x) {
    Vector re[N / 2 + 1], im[N / 2 + 1];
    real_transform<N>(source, re, im);
#pragma GCC unroll 64
    for (int k = 0; k <= N / 2; ++k) x.write(k, re[k]);
#pragma GCC unroll 64
    for (int k = 1; 2 * k < N; ++k) x.write(N / 2 + k, im[k]);
}

template <int N, class Sink>
INLINE void inverse_reals(const Points& x, const Sink& sink) {
    Vector re[N / 2 + 1], im[N / 2 + 1];
#pragma GCC unroll 64
    for (int k = 0; k <= N / 2; ++k) re[k] = x.read(k);
#pragma GCC unroll 64
    for (int k = 1; 2 * k < N; ++k) im[k] = x.read(N / 2 + k);
    real_inverse<N>(re, im, sink);
}

template <int N>
INLINE void transform_line(Vector* buffer, FourierLine line, int64_t step) {
    const Points x = {buffer + line.real, step}, y = {buffer + line.imaginary, step};
    if (line.imaginary < 0) return transform_reals<N>(x, x);
    Vector re[N], im[N];
    complex_transform<N>(x, y, re, im);
#pragma GCC unroll 64
    for (int k = 0; k < N; ++k) {
        x.write(k, re[k]);
        y.write(k, im[k]);
    }
}

template <int N>
INLINE void inverse_line(Vector* buffer, FourierLine line, int64_t step) {
    const Points x = {buffer + line.real, step}, y = {buffer + line.imaginary, step};
    if (line.imaginary < 0) return inverse_reals<N>(x, x);
    Vector re[N], im[N];
#pragma GCC unroll 64
    for (int k = 0; k < N; ++k) {
        re[k] = x.read(k);
        im[k] = y.read(k);
    }
    complex_inverse<N>(re, im, x, y);
}

// --- slots ---

// Writes and reads slots one after the other, whole vectors: what is behind a slot's last number is
// written later, or nobody's.
struct SlotWriter {
    float* at;
    int64_t step;
    bool is_kernel;
    INLINE_MEMBER void write(Vector v) {
        store(at, v);
        at += step;
    }
};
struct SlotReader {
    const float* at;
    int64_t step;
    INLINE_MEMBER Vector read() {
        const Vector v = load(at);
        at += step;
        return v;
    }
};

INLINE void write_factors(SlotWriter& slots, Vector re, Vector im) {
    const Vector total = re + im;
    slots.write(slots.is_kernel ? re : total);
    slots.write(slots.is_kernel ? re - im : im);
    slots.write(slots.is_kernel ? total : re);
}

INLINE void read_product(SlotReader& slots, Vector* re, Vector* im) {
    const Vector k1 = slots.read(), k2 = slots.read(), k3 = slots.read();
    *re = k1 - k2;
    *im = k1 - k3;
}

template <int N, class Source>
INLINE void reals_to_slots(const Source& source, SlotWriter& slots) {
    Vector re[N / 2 + 1], im[N / 2 + 1];
    real_transform<N>(source, re, im);
    slots.write(re[0]);
    if constexpr (N > 1) slots.write(re[N / 2]);
#pragma GCC unroll 64
    for (int k = 1; 2 * k < N; ++k) write_factors(slots, re[k], im[k]);
}

template <int N, class Sink>
INLINE void reals_from_slots(SlotReader& slots, const Sink& sink) {
    Vector re[N / 2 + 1], im[N / 2 + 1];
    re[0] = slots.read();
    if constexpr (N > 1) re[N / 2] = slots.read();
#pragma GCC unroll 64
    for (int k = 1; 2 * k < N; ++k) read_product(slots, &re[k], &im[k]);
    real_inverse<N>(re, im, sink);
}

template <int N>
INLINE void line_to_slots(Vector* buffer, FourierLine line, SlotWriter& slots) {
    const Points x = {buffer + line.real, 1}, y = {buffer + line.imaginary, 1};
    if (line.imaginary < 0) return reals_to_slots<N>(x, slots);
    Vector re[N], im[N];
    complex_transform<N>(x, y, re, im);
#pragma GCC unroll 64
    for (int k = 0; k < N; ++k) write_factors(slots, re[k], im[k]);
}

template <int N>
INLINE void line_from_slots(Vector* buffer, FourierLine line, SlotReader& slots) {
    const Points x = {buffer + line.real, 1}, y = {buffer + line.imaginary, 1};
    if (line.imaginary < 0) return reals_from_slots<N>(slots, x);
    Vector re[N], im[N];
#pragma GCC unroll 64
    for (int k = 0; k < N; ++k) read_product(slots, &re[k], &im[k]);
    complex_inverse<N>(re, im, x, y);
}

// --- all lines of an axis ---

// Calls body with the number of points as a type; only a line alone has 64.
template <class Body>
INLINE void with_points(int64_t points, Body body) {
    switch (points) {
        case 1: body(Count<1>{}); break;
        case 4: body(Count<4>{}); break;
        case 6: body(Count<6>{}); break;
        case 8: body(Count<8>{}); break;
        case 12: body(Count<12>{}); break;
        case 16: body(Count<16>{}); break;
        case 24: body(Count<24>{}); break;
        case 32: body(Count<32>{}); break;
    }
}
template <class Body>
INLINE void with_points_alone(int64_t points, Body body) {
    if (points == 64) body(Count<64>{});
    else with_points(points, body);
}

template <int N>
static void transform_axis(const FourierAxis& axis, Vector* buffer, const uint8_t* needed) {
    for (int64_t l = 0; l < axis.count; ++l)
        if (needed[l % axis.later]) transform_line<N>(buffer, axis.lines[l], axis.step);
}
template <int N>
static void inverse_axis(const FourierAxis& axis, Vector* buffer, const uint8_t* needed) {
    for (int64_t l = 0; l < axis.count; ++l)
        if (needed[l % axis.later]) inverse_line<N>(buffer, axis.lines[l], axis.step);
}
template <int N>
static void axis_to_slots(const FourierAxis& axis, Vector* buffer, SlotWriter slots) {
    for (int64_t l = 0; l < axis.count; ++l)
        line_to_slots<N>(buffer, axis.lines[l], slots);
}
template <int N>
static void axis_from_slots(const FourierAxis& axis, Vector* buffer, SlotReader slots) {
    for (int64_t l = 0; l < axis.count; ++l) line_from_slots<N>(buffer, axis.lines[l], slots);
}

// --- tiles in memory: [position][floats] ---

// Vectors of which only some floats exist; not inlined, they are rare and there are many places.
static __attribute__((noinline)) Vector read_part(const float* p, int64_t count) {
    return load_first(p, count);
}
static __attribute__((noinline)) void write_part(float* p, Vector v, int64_t count) {
    store_first(p, v, count);
}

// Points of a line that exist, and where they are; the others are zero, and are not written. `count`:
// floats there are for each vector.
struct InMemory {
    const float* at;
    int64_t step, first, last, count;
    INLINE_MEMBER Vector read(int j) const {
        if (j < first || j >= last) return Vector{};
        return count >= WIDTH ? load(at + j * step) : read_part(at + j * step, count);
    }
};
struct WholeInMemory {
    const float* at;
    int64_t step;
    INLINE_MEMBER Vector read(int j) const { return load(at + j * step); }
};
struct WrittenToMemory {
    float* y;
    const float* residual;
    int64_t at, step, first, last, count;
    Vector start;
    INLINE_MEMBER void write(int j, Vector v) const {
        if (j < first || j >= last) return;
        const int64_t place = at + j * step;
        v += start;
        if (residual) v += count >= WIDTH ? load(residual + place) : read_part(residual + place, count);
        if (count >= WIDTH) store(y + place, v);
        else write_part(y + place, v, count);
    }
};
struct AddedToMemory {
    float* gradient;
    int64_t at, step, first, last, count;
    float scale;
    INLINE_MEMBER void write(int j, Vector v) const {
        if (j < first || j >= last) return;
        float* to = gradient + at + j * step;
        if (count >= WIDTH) store(to, multiply_add(v, broadcast(scale), load(to)));
        else write_part(to, multiply_add(v, broadcast(scale), read_part(to, count)), count);
    }
};

// What of a tile exists, found once for all its vectors.
struct Tile {
    int outer;                  // the first axis with more than one point, or the last
    int64_t first[3], last[3];  // points that exist
    int64_t distance[3];        // of neighbouring points, in floats
    int64_t start;              // of the first point, in floats; it may not exist
    bool empty, whole;
    uint8_t needed[2][FOURIER_BUFFER];  // by later coordinates, the lines that are not zero
};

INLINE void find_tile(const FourierGrid& grid, const TileView& view, int64_t step, Tile* tile) {
    int64_t distance = step;
    tile->start = 0;
    tile->empty = false;
    tile->whole = true;
    tile->outer = grid.axes[0].points > 1 ? 0 : grid.axes[1].points > 1 ? 1 : 2;
    for (int a = 2; a >= 0; --a) {
        int64_t first = 0, last = view.count[a];
        while (first < last && view.start[a] + first * view.step[a] < 0) ++first;
        while (last > first && view.start[a] + (last - 1) * view.step[a] >= view.size[a]) --last;
        tile->first[a] = first;
        tile->last[a] = last;
        tile->start += view.start[a] * distance;
        tile->distance[a] = view.step[a] * distance;
        tile->empty = tile->empty || first == last;
        tile->whole = tile->whole && first == 0 && last == grid.axes[a].points;
        distance *= view.size[a];
    }
    for (int a = 0; a < 2; ++a)
        for (int64_t l = 0; l < grid.axes[a].later; ++l) {
            const int64_t k = l % grid.axes[2].points, j = l / grid.axes[2].points;
            const bool inside = a == 1 || (j >= tile->first[1] && j < tile->last[1]);
            tile->needed[a][l] = !tile->empty && inside && k >= tile->first[2] && k < tile->last[2];
        }
}

// Where line l of the outer axis begins, from the tile's first point.
INLINE int64_t place_of_line(const FourierGrid& grid, const Tile& tile, int64_t l) {
    const int64_t k = l % grid.axes[2].points, j = l / grid.axes[2].points;
    return tile.outer == 2 ? 0 : k * tile.distance[2] + (tile.outer == 0 ? j * tile.distance[1] : 0);
}

template <int N>
static void memory_to_axis(const FourierGrid& grid, const Tile& tile, const float* x, int64_t count,
                           Vector* buffer) {
    const FourierAxis& axis = grid.axes[tile.outer];
    const int64_t distance = tile.distance[tile.outer];
    const int64_t first = tile.first[tile.outer], last = tile.last[tile.outer];
    const bool whole = first == 0 && last == N && count >= WIDTH;
    for (int64_t l = 0; l < axis.count; ++l) {
        const Points to = {buffer + axis.lines[l].real, axis.step};
        const float* from = x + place_of_line(grid, tile, l);
        if (!tile.needed[tile.outer][l])
            for (int k = 0; k < N; ++k) to.write(k, Vector{});
        else if (whole) transform_reals<N>(WholeInMemory{from, distance}, to);
        else transform_reals<N>(InMemory{from, distance, first, last, count}, to);
    }
}

template <int N, class Sink>
static void axis_to_memory(const FourierGrid& grid, const Tile& tile, Vector* buffer, Sink sink) {
    const FourierAxis& axis = grid.axes[tile.outer];
    const int64_t start = sink.at;
    for (int64_t l = 0; l < axis.count; ++l) {
        if (!tile.needed[tile.outer][l]) continue;
        sink.at = start + place_of_line(grid, tile, l);
        inverse_reals<N>(Points{buffer + axis.lines[l].real, axis.step}, sink);
    }
}

// Calls visit(place, other place) for the points of a tile that exist, in two memories.
template <class Visit>
INLINE void for_points_of(const Tile& tile, const Tile& other, Visit visit) {
    if (tile.empty) return;
    for (int64_t i = tile.first[0]; i < tile.last[0]; ++i)
        for (int64_t j = tile.first[1]; j < tile.last[1]; ++j)
            for (int64_t k = tile.first[2]; k < tile.last[2]; ++k)
                visit(i * tile.distance[0] + j * tile.distance[1] + k * tile.distance[2],
                      i * other.distance[0] + j * other.distance[1] + k * other.distance[2]);
}

// --- tiles in memory <-> slots ---

static void buffer_to_slots(const FourierGrid& grid, const Tile& tile, Vector* buffer,
                            SlotWriter slots) {
    for (int a = tile.outer + 1; a < 2; ++a)
        if (grid.axes[a].points > 1)
            with_points(grid.axes[a].points, [&](auto number) {
                transform_axis<number.count>(grid.axes[a], buffer, tile.needed[a]);
            });
    with_points(grid.axes[2].points, [&](auto number) {
        axis_to_slots<number.count>(grid.axes[2], buffer, slots);
    });
}

static void tile_to_slots(const FourierGrid& grid, const Tile& tile, const float* x, int64_t count,
                          Vector* buffer, SlotWriter slots) {
    const int64_t points = grid.axes[tile.outer].points;
    if (tile.outer == 2) {
        const int64_t last = tile.empty ? 0 : tile.last[2];
        const InMemory source = {x, tile.distance[2], tile.first[2], last, count};
        with_points_alone(points,
                          [&](auto number) { reals_to_slots<number.count>(source, slots); });
        return;
    }
    with_points(points, [&](auto number) {
        memory_to_axis<number.count>(grid, tile, x, count, buffer);
    });
    buffer_to_slots(grid, tile, buffer, slots);
}

// Transforms a tile: `floats` numbers at each position, positions `step` floats apart.
static void fourier_tile(const FourierGrid& grid, const TileView& view, bool is_kernel,
                         const float* x, int64_t step, int64_t floats, float* slots,
                         int64_t slot_step) {
    alignas(64) Vector buffer[FOURIER_BUFFER];
    Tile tile;
    find_tile(grid, view, step, &tile);
    for (int64_t i = 0; i < floats; i += WIDTH) {
        const SlotWriter writer = {slots + i, slot_step, is_kernel};
        tile_to_slots(grid, tile, x + tile.start + i, floats - i, buffer, writer);
    }
}

// The products in the slots of a tile go back, and all that exist of its points to a sink.
template <class Sink>
INLINE void tile_from_slots(const FourierGrid& grid, const Tile& tile, SlotReader slots,
                            Vector* buffer, const Sink& sink) {
    if (tile.empty) return;
    if (tile.outer == 2) {
        with_points_alone(grid.axes[2].points,
                          [&](auto number) { reals_from_slots<number.count>(slots, sink); });
        return;
    }
    with_points(grid.axes[2].points, [&](auto number) {
        axis_from_slots<number.count>(grid.axes[2], buffer, slots);
    });
    if (tile.outer == 0 && grid.axes[1].points > 1)
        with_points(grid.axes[1].points, [&](auto number) {
            inverse_axis<number.count>(grid.axes[1], buffer, tile.needed[1]);
        });
    with_points(grid.axes[tile.outer].points, [&](auto number) {
        axis_to_memory<number.count>(grid, tile, buffer, sink);
    });
}

// y = the tile, then bias, what is added, and activation: `lanes` numbers for each channel.
static void fourier_tile_back(const FourierGrid& grid, const TileView& view, const float* slots,
                              int64_t slot_step, int64_t floats, int64_t lanes, const float* bias,
                              const float* residual, const Activation& activation, float* y,
                              int64_t step) {
    alignas(64) Vector buffer[FOURIER_BUFFER];
    Tile tile;
    find_tile(grid, view, step, &tile);
    const int64_t first = tile.first[tile.outer], last = tile.last[tile.outer];
    for (int64_t i = 0; i < floats; i += WIDTH) {
        const int64_t left = floats - i;
        Vector start = {};
        if (bias && lanes > 1) start = broadcast(bias[i / lanes]);
        else if (bias) start = left >= WIDTH ? load(bias + i) : load_first(bias + i, left);
        const WrittenToMemory sink = {y, residual, tile.start + i, tile.distance[tile.outer],
                                      first, last, left, start};
        tile_from_slots(grid, tile, SlotReader{slots + i, slot_step}, buffer, sink);
    }
    if (activation.name != ActivationName::linear)
        for_points_of(tile, tile, [&](int64_t place, int64_t) {
            activate_tile(activation, y + tile.start + place, 1, 0, floats);
        });
}

// gradient += scale * the tile.
static void fourier_tile_added(const FourierGrid& grid, const TileView& view, const float* slots,
                               int64_t slot_step, int64_t floats, float scale, float* gradient,
                               int64_t step) {
    alignas(64) Vector buffer[FOURIER_BUFFER];
    Tile tile;
    find_tile(grid, view, step, &tile);
    const int64_t first = tile.first[tile.outer], last = tile.last[tile.outer];
    for (int64_t i = 0; i < floats; i += WIDTH) {
        const AddedToMemory sink = {gradient, tile.start + i, tile.distance[tile.outer], first,
                                    last, floats - i, scale};
        tile_from_slots(grid, tile, SlotReader{slots + i, slot_step}, buffer, sink);
    }
}

// --- the same for images side by side, as channels side by side ---

// Elements with and without bit H of their number change places between two vectors.
template <int H>
INLINE void exchange(Vector& a, Vector& b) {
    Integers low, high;
    for (int i = 0; i < WIDTH; ++i) {
        low[i] = i & H ? WIDTH + i - H : i;
        high[i] = i & H ? WIDTH + i : i + H;
    }
#if defined(__clang__)
    Vector first = a, second = b;
    for (int i = 0; i < WIDTH; ++i) {
        first[i] = low[i] < WIDTH ? a[low[i] % WIDTH] : b[low[i] % WIDTH];
        second[i] = high[i] < WIDTH ? a[high[i] % WIDTH] : b[high[i] % WIDTH];
    }
#else
    const Vector first = __builtin_shuffle(a, b, low), second = __builtin_shuffle(a, b, high);
#endif
    a = first;
    b = second;
}

template <int H>
INLINE void transpose_from(Vector (&rows)[WIDTH]) {
    if constexpr (H < WIDTH) {
        for (int i = 0; i < WIDTH; ++i)
            if (!(i & H)) exchange<H>(rows[i], rows[i + H]);
        transpose_from<2 * H>(rows);
    }
}

// Transforms a tile of a block, as a kernel: the slots get [lane][channel] instead of [channel][lane].
// `scratch` holds WIDTH tiles.
static void fourier_tile_by_lanes(const FourierGrid& grid, const TileView& view, const float* x,
                                  int64_t step, int64_t channels, int64_t lanes, float* slots,
                                  int64_t slot_step, int64_t lane_step, float* scratch) {
    Tile tile, apart;
    find_tile(grid, view, step, &tile);
    const int64_t size = WIDTH * grid.points;  // of a lane's tile, all points one after the other
    TileView packed = view;
    for (int a = 0; a < 3; ++a) {
        packed.start[a] = 0;
        packed.step[a] = 1;
        packed.size[a] = grid.axes[a].points;
    }
    find_tile(grid, packed, WIDTH, &apart);
    for (int a = 0; a < 3; ++a) {
        apart.first[a] = tile.first[a];
        apart.last[a] = tile.last[a];
    }
    memcpy(apart.needed, tile.needed, sizeof(tile.needed));
    apart.empty = tile.empty;
    alignas(64) Vector buffer[FOURIER_BUFFER];
    for (int64_t c = 0; c < channels; c += WIDTH)
        for (int64_t lane = 0; lane < lanes; lane += WIDTH) {
            const int64_t there = channels - c < WIDTH ? channels - c : WIDTH;
            const float* from = x + tile.start + c * lanes + lane;
            for_points_of(tile, apart, [&](int64_t place, int64_t to) {
                Vector rows[WIDTH] = {};
                for (int64_t i = 0; i < there; ++i) rows[i] = load(from + place + i * lanes);
                transpose_from<1>(rows);
                for (int i = 0; i < WIDTH; ++i) store(scratch + i * size + to, rows[i]);
            });
            for (int i = 0; i < WIDTH; ++i) {
                float* to = slots + (lane + i) * lane_step + c;
                tile_to_slots(grid, apart, scratch + i * size, WIDTH, buffer,
                              SlotWriter{to, slot_step, true});
            }
        }
}

// --- products ---

template <int M, int V>
static void product_of_lanes(const FourierProduct& a, const float* weights, const float* x,
                             float* y) {
    Vector sums[M][V] = {};
    multiply_lanes<M, V>(sums, weights, a.weight_step, x, a.lanes, a.channels);
    for (int m = 0; m < M; ++m)
        for (int v = 0; v < V; ++v) store(y + m * a.lanes + v * WIDTH, sums[m][v]);
}

template <int M, int V>
static void product_of_rows(const FourierProduct& a, const float* weights, const float* x,
                            float* y) {
    Vector sums[M][V] = {};
    for (int64_t k = 0; k < a.channels; ++k) {
        Vector row[V];
        for (int v = 0; v < V; ++v) row[v] = load(weights + k * a.weight_step + v * WIDTH);
        for (int m = 0; m < M; ++m) {
            const Vector value = broadcast(x[m * a.channels + k]);
            for (int v = 0; v < V; ++v) sums[m][v] = multiply_add(value, row[v], sums[m][v]);
        }
    }
    for (int m = 0; m < M; ++m)
        for (int v = 0; v < V; ++v) store(y + m * a.y_step + v * WIDTH, sums[m][v]);
}

typedef void (*ProductFunction)(const FourierProduct&, const float*, const float*, float*);

template <int M, int V>
INLINE ProductFunction product_of_lanes_function(int64_t m) {
    if constexpr (M > 0)
        return m == M ? product_of_lanes<M, V> : product_of_lanes_function<M - 1, V>(m);
    return nullptr;
}
template <int M, int V>
INLINE ProductFunction product_of_rows_column(int64_t m) {
    if constexpr (M > 0)
        return m == M ? product_of_rows<M, V> : product_of_rows_column<M - 1, V>(m);
    return nullptr;
}
template <int V>
INLINE ProductFunction product_of_rows_function(int64_t m, int64_t v) {
    if constexpr (V > 0)
        return v == V ? product_of_rows_column<6, V>(m) : product_of_rows_function<V - 1>(m, v);
    return nullptr;
}

// One slot: y[tile][row] = sum over channels of weights[channel][row] * x[tile][channel], the last
// index of x and y being the lane.
static void product_in_slot(const FourierProduct& a, const float* weights, const float* x,
                            float* y) {
    if (a.lanes == 1) {
        const Tiles rows((a.rows + WIDTH - 1) / WIDTH, OUTER_VECTORS), tiles(a.tiles, 6);
        for (int64_t r = 0; r < rows.tiles; ++r)
            for (int64_t t = 0; t < tiles.tiles; ++t)
                product_of_rows_function<OUTER_VECTORS>(tiles.size(t), rows.size(r))(
                    a, weights + rows.first(r) * WIDTH, x + tiles.first(t) * a.channels,
                    y + tiles.first(t) * a.y_step + rows.first(r) * WIDTH);
        return;
    }
    const int64_t vectors = vectors_of_lanes(a.lanes), at_once = vectors * WIDTH;
    const Tiles rows(a.rows, rows_per_tile(a.lanes, 0));
    for (int64_t r = 0; r < rows.tiles; ++r) {
        const int64_t m = rows.size(r);
        const ProductFunction function =
            vectors == 4   ? product_of_lanes_function<6, 4>(m)
            : vectors == 2 ? product_of_lanes_function<REGISTERS == 32 ? 12 : 6, 2>(m)
                           : product_of_lanes_function<16, 1>(m);
        for (int64_t t = 0; t < a.tiles; ++t)
            for (int64_t lane = 0; lane < a.lanes; lane += at_once)
                function(a, weights + rows.first(r), x + t * a.channels * a.lanes + lane,
                         y + t * a.y_step + rows.first(r) * a.lanes + lane);
    }
}

static void fourier_product(const FourierProduct& a, const float* weights, const float* x,
                            float* y) {
    for (int64_t s = 0; s < a.slots; ++s)
        product_in_slot(a, weights + s * a.weight_slot, x + s * a.x_slot, y + s * a.y_slot);
}

// --- sums of products over tiles and images ---

template <int I, int V>
static void outer_in_slot(const FourierProduct& a, const float* x, const float* delta,
                          float* gradient) {
    Vector sums[I][V] = {};
    for (int64_t t = 0; t < a.tiles; ++t, x += a.x_step)
        for (int64_t lane = 0; lane < a.lanes; ++lane, delta += a.y_step) {
            Vector d[V];
            for (int v = 0; v < V; ++v) d[v] = load(delta + v * WIDTH);
            for (int i = 0; i < I; ++i) {
                const Vector value = broadcast(x[i * a.lanes + lane]);
                for (int v = 0; v < V; ++v) sums[i][v] = multiply_add(value, d[v], sums[i][v]);
            }
        }
    for (int i = 0; i < I; ++i)
        for (int v = 0; v < V; ++v) store(gradient + i * a.weight_step + v * WIDTH, sums[i][v]);
}

typedef void (*OuterInSlot)(const FourierProduct&, const float*, const float*, float*);

template <int I, int V>
INLINE OuterInSlot outer_in_slot_column(int64_t i) {
    if constexpr (I > 0) return i == I ? outer_in_slot<I, V> : outer_in_slot_column<I - 1, V>(i);
    return nullptr;
}
template <int V>
INLINE OuterInSlot outer_in_slot_function(int64_t i, int64_t v) {
    if constexpr (V > 0)
        return v == V ? outer_in_slot_column<OUTER_VALUES, V>(i)
                      : outer_in_slot_function<V - 1>(i, v);
    return nullptr;
}

// gradient[channel][row] = sum over tiles and lanes of x[tile][channel][lane] * delta[tile][lane][row].
static void fourier_outer(const FourierProduct& a, const float* x, const float* delta,
                          float* gradient) {
    const Tiles channels(a.channels, OUTER_VALUES);
    const Tiles rows((a.rows + WIDTH - 1) / WIDTH, OUTER_VECTORS);
    for (int64_t s = 0; s < a.slots; ++s)
        for (int64_t r = 0; r < rows.tiles; ++r)
            for (int64_t c = 0; c < channels.tiles; ++c)
                outer_in_slot_function<OUTER_VECTORS>(channels.size(c), rows.size(r))(
                    a, x + s * a.x_slot + channels.first(c) * a.lanes,
                    delta + s * a.y_slot + rows.first(r) * WIDTH,
                    gradient + s * a.weight_slot + channels.first(c) * a.weight_step +
                        rows.first(r) * WIDTH);
}
