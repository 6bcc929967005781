// Convolution by the Fourier transform, tile by tile.
//
// A tile of x, T points along each axis, and the kernel, padded with zeros to as many, are
// transformed; there, a convolution is a product (lecture 000), and what comes back is right for
// the T - taps + 1 outputs whose windows lie inside the tile (overlap-save). A tile of 16 x 16
// gives 14 x 14 outputs of a 3 x 3 kernel with 1.9 multiplications each instead of 9, and 8 x 8 of
// a 9 x 9 kernel with 6 instead of 81; the transforms are paid once for each channel, the products
// for each pair of channels.
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
// complex frequency, of a kernel (c, c - d, c + d). What happens in a slot is an ordinary product
// of matrices, [row][channel] by [channel][image and tile].
//
// Transforms run on whole vectors, images or channels side by side, so they are loops without
// shuffles. They are those of real numbers along one axis after the other: a *line* is a row of
// points along one axis, of reals, or of complex numbers in two places. native/transformed.cpp
// lists the lines and cuts images into tiles; engine/transforms.py decides where it pays.
#pragma once

// --- transforms of N reals, N = 1, 3, or twice such a number ---

// cos and sin of 2 pi k / N; the compiler folds them.
template <int N>
INLINE float cosine(int k) { return (float)__builtin_cos(6.283185307179586476925 * k / N); }
template <int N>
INLINE float sine(int k) { return (float)__builtin_sin(6.283185307179586476925 * k / N); }

// Frequencies 0 .. N/2 of N points, every STEP-th from FIRST on; im[0] and, for even N, im[N/2] are
// zero and not written.
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

// --- slots ---

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

// What happens to the lines of an axis of N points; as `WinogradForward` and `WinogradBack`.
template <int N>
struct Fourier {
    static constexpr int POINTS = N, READS = N, LONG = 16;

    // The real frequencies of a line of reals lie where its points were; the imaginary parts from
    // N/2 on.
    template <class Source>
    INLINE_MEMBER void transform_reals(const Source& source, const Points& x) {
        Vector re[N / 2 + 1], im[N / 2 + 1];
        real_transform<N>(source, re, im);
#pragma GCC unroll 64
        for (int k = 0; k <= N / 2; ++k) x.write(k, re[k]);
#pragma GCC unroll 64
        for (int k = 1; 2 * k < N; ++k) x.write(N / 2 + k, im[k]);
    }

    template <class Sink>
    INLINE_MEMBER void inverse_reals(const Points& x, const Sink& sink) {
        Vector re[N / 2 + 1], im[N / 2 + 1];
#pragma GCC unroll 64
        for (int k = 0; k <= N / 2; ++k) re[k] = x.read(k);
#pragma GCC unroll 64
        for (int k = 1; 2 * k < N; ++k) im[k] = x.read(N / 2 + k);
        real_inverse<N>(re, im, sink);
    }

    INLINE_MEMBER void transform_line(Vector* buffer, TileLine line, int64_t step) {
        const Points x = {buffer + line.real, step}, y = {buffer + line.imaginary, step};
        if (line.imaginary < 0) return transform_reals(x, x);
        Vector re[N], im[N];
        complex_transform<N>(x, y, re, im);
#pragma GCC unroll 64
        for (int k = 0; k < N; ++k) {
            x.write(k, re[k]);
            y.write(k, im[k]);
        }
    }

    INLINE_MEMBER void inverse_line(Vector* buffer, TileLine line, int64_t step) {
        const Points x = {buffer + line.real, step}, y = {buffer + line.imaginary, step};
        if (line.imaginary < 0) return inverse_reals(x, x);
        Vector re[N], im[N];
#pragma GCC unroll 64
        for (int k = 0; k < N; ++k) {
            re[k] = x.read(k);
            im[k] = y.read(k);
        }
        complex_inverse<N>(re, im, x, y);
    }

    // Not inlined where they are long: in a loop, GCC keeps the addresses of all slots on the
    // stack.
    template <class Source>
    INLINE_MEMBER void reals_to_slots(const Source& source, SlotWriter& slots) {
        if constexpr (N < LONG) short_reals_to_slots(source, slots);
        else long_reals_to_slots(source, slots);
    }
    template <class Source>
    static __attribute__((noinline)) void long_reals_to_slots(Source source, SlotWriter& slots) {
        short_reals_to_slots(source, slots);
    }
    template <class Source>
    INLINE_MEMBER static void short_reals_to_slots(const Source& source, SlotWriter& slots) {
        Vector re[N / 2 + 1], im[N / 2 + 1];
        real_transform<N>(source, re, im);
        slots.write(re[0]);
        if constexpr (N > 1) slots.write(re[N / 2]);
#pragma GCC unroll 64
        for (int k = 1; 2 * k < N; ++k) write_factors(slots, re[k], im[k]);
    }

    template <class Sink>
    INLINE_MEMBER void reals_from_slots(SlotReader& slots, const Sink& sink) {
        if constexpr (N < LONG) short_reals_from_slots(slots, sink);
        else long_reals_from_slots(slots, sink);
    }
    template <class Sink>
    static __attribute__((noinline)) void long_reals_from_slots(SlotReader& slots, Sink sink) {
        short_reals_from_slots(slots, sink);
    }
    template <class Sink>
    INLINE_MEMBER static void short_reals_from_slots(SlotReader& slots, const Sink& sink) {
        Vector re[N / 2 + 1], im[N / 2 + 1];
        re[0] = slots.read();
        if constexpr (N > 1) re[N / 2] = slots.read();
#pragma GCC unroll 64
        for (int k = 1; 2 * k < N; ++k) read_product(slots, &re[k], &im[k]);
        real_inverse<N>(re, im, sink);
    }

    INLINE_MEMBER void line_to_slots(Vector* buffer, TileLine line, SlotWriter& slots) {
        const Points x = {buffer + line.real, 1}, y = {buffer + line.imaginary, 1};
        if (line.imaginary < 0) return reals_to_slots(x, slots);
        Vector re[N], im[N];
        complex_transform<N>(x, y, re, im);
#pragma GCC unroll 64
        for (int k = 0; k < N; ++k) write_factors(slots, re[k], im[k]);
    }

    INLINE_MEMBER void line_from_slots(Vector* buffer, TileLine line, SlotReader& slots) {
        const Points x = {buffer + line.real, 1}, y = {buffer + line.imaginary, 1};
        if (line.imaginary < 0) return reals_from_slots(slots, x);
        Vector re[N], im[N];
#pragma GCC unroll 64
        for (int k = 0; k < N; ++k) read_product(slots, &re[k], &im[k]);
        complex_inverse<N>(re, im, x, y);
    }
};
