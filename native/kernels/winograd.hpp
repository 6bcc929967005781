// Convolution by Winograd's minimal filtering, tile by tile.
//
// m outputs of r taps along an axis are the product of two polynomials, known from its values in
// n = m + r - 1 points (Toom and Cook): n multiplications instead of m r, 6 x 6 instead of 16 x 9 for
// 4 x 4 outputs of a 3 x 3 kernel. Read backwards, as a correlation, it is
//
//     y = A ( (G w) * (B x) )       w's gradient = G' ( (A' delta) * (B x) )       ' transposed
//
// with x of n points. A' evaluates a polynomial of m coefficients, G one of r, divided by what makes
// the sum right; B has the coefficients of the products over all other points. Points are 0, the
// pairs +-a and +-b, and infinity: a polynomial's last coefficient. A pair shares its even and its odd
// powers. Of pairs, 3/4 and 3/2 lose least: 64 channels in 2-D have errors of 6.5e-7 of the outputs'
// size, sums as they stand 3e-7; the usual 1 and 2, 1.3e-6; eight points, 4e-6.
//
// Sources: S. Winograd, *Arithmetic complexity of computations*, 1980; A. Lavin and S. Gray, *Fast
// algorithms for convolutional neural networks*, 2016. Tiles and slots are those of fourier.hpp, but
// all numbers are real.
#pragma once

// The pairs' squares, and their points.
template <int N> struct WinogradPoints;
template <> struct WinogradPoints<4> {
    static constexpr float A = 1.0f, AA = 1.0f;
    static constexpr float DIVISORS[4] = {-1.0f, 2.0f, 2.0f, 1.0f};
};
template <> struct WinogradPoints<6> {
    static constexpr float A = 0.75f, B = 1.5f, AA = A * A, BB = B * B;
    static constexpr float OF_A = 2 * AA * (AA - BB), OF_B = 2 * BB * (BB - AA);
    static constexpr float DIVISORS[6] = {AA * BB, OF_A, OF_A, OF_B, OF_B, 1.0f};
};

// x into the n points.
template <int N>
struct WinogradData {
    static constexpr int POINTS = N, READS = N;
    template <class Source>
    INLINE_MEMBER void values(const Source& source, Vector* v) const {
        using P = WinogradPoints<N>;
        Vector x[N];
        for (int j = 0; j < N; ++j) x[j] = source.read(j);
        if constexpr (N == 4) {
            v[0] = x[2] - x[0];
            v[1] = x[2] + x[1];
            v[2] = x[2] - x[1];
            v[3] = x[3] - x[1];
        } else {
            const Vector even_a = multiply_add(x[2], broadcast(-P::BB), x[4]);
            const Vector odd_a = multiply_add(x[1], broadcast(-P::BB), x[3]) * P::A;
            const Vector even_b = multiply_add(x[2], broadcast(-P::AA), x[4]);
            const Vector odd_b = multiply_add(x[1], broadcast(-P::AA), x[3]) * P::B;
            const Vector sum = broadcast(-P::AA - P::BB), product = broadcast(P::AA * P::BB);
            v[0] = multiply_add(x[0], product, multiply_add(x[2], sum, x[4]));
            v[1] = even_a + odd_a;
            v[2] = even_a - odd_a;
            v[3] = even_b + odd_b;
            v[4] = even_b - odd_b;
            v[5] = multiply_add(x[1], product, multiply_add(x[3], sum, x[5]));
        }
    }
};

// M coefficients into their polynomial's values in N points; divided, for a kernel.
template <int N, int M>
struct WinogradCoefficients {
    static constexpr int POINTS = N, READS = M;
    bool divided;
    template <class Source>
    INLINE_MEMBER void values(const Source& source, Vector* v) const {
        using P = WinogradPoints<N>;
        Vector x[N] = {};
        for (int j = 0; j < M; ++j) x[j] = source.read(j);
        v[0] = x[0];
        v[N - 1] = x[M - 1];
        pair(x, broadcast(P::A), broadcast(P::AA), v + 1);
        if constexpr (N == 6) pair(x, broadcast(P::B), broadcast(P::BB), v + 3);
        if (divided)
            for (int k = 0; k < N; ++k) v[k] *= 1.0f / P::DIVISORS[k];
    }
    INLINE_MEMBER static void pair(const Vector* x, Vector point, Vector square, Vector* v) {
        Vector even = x[0], odd = x[1];
        if constexpr (M > 4) even = multiply_add(multiply_add(x[4], square, x[2]), square, even);
        else if constexpr (M > 2) even = multiply_add(x[2], square, even);
        if constexpr (M > 3) odd = multiply_add(x[3], square, odd);
        v[0] = multiply_add(odd, point, even);
        v[1] = multiply_add(odd, Vector{} - point, even);
    }
};

// The lines of an axis on their way there; as `Fourier`.
template <class Values>
struct WinogradForward {
    static constexpr int POINTS = Values::POINTS, READS = Values::READS;
    Values of;

    template <class Source>
    INLINE_MEMBER void transform_reals(const Source& source, const Points& x) const {
        Vector v[POINTS];
        of.values(source, v);
        for (int k = 0; k < POINTS; ++k) x.write(k, v[k]);
    }
    template <class Source>
    INLINE_MEMBER void reals_to_slots(const Source& source, SlotWriter& slots) const {
        Vector v[POINTS];
        of.values(source, v);
        for (int k = 0; k < POINTS; ++k) slots.write(v[k]);
    }
    INLINE_MEMBER void transform_line(Vector* buffer, TileLine line, int64_t step) const {
        const Points x = {buffer + line.real, step};
        transform_reals(x, x);
    }
    INLINE_MEMBER void line_to_slots(Vector* buffer, TileLine line, SlotWriter& slots) const {
        reals_to_slots(Points{buffer + line.real, 1}, slots);
    }
};

// And back: M outputs, or, divided, taps.
template <int N, int M>
struct WinogradBack {
    static constexpr int POINTS = N;
    bool divided;

    template <class Sink>
    INLINE_MEMBER void sums(Vector* v, const Sink& sink) const {
        using P = WinogradPoints<N>;
        if (divided)
            for (int k = 0; k < N; ++k) v[k] *= 1.0f / P::DIVISORS[k];
        Vector even = v[1] + v[2], odd = (v[1] - v[2]) * P::A;
        if constexpr (N == 4) {
            for (int j = 0; j < M; ++j) {
                Vector y = j % 2 ? odd : even;
                if (j == 0) y += v[0];
                sink.write(j, j == M - 1 ? y + v[N - 1] : y);
            }
        } else {
            const Vector even_b = v[3] + v[4], odd_b = (v[3] - v[4]) * P::B;
            float a = 1.0f, b = 1.0f;  // powers of the squares
#pragma GCC unroll 8
            for (int j = 0; j < M; ++j) {
                Vector y = j % 2 ? multiply_add(odd_b, broadcast(b), odd * a)
                                 : multiply_add(even_b, broadcast(b), even * a);
                if (j == 0) y += v[0];
                sink.write(j, j == M - 1 ? y + v[N - 1] : y);
                a *= j % 2 ? P::AA : 1.0f;
                b *= j % 2 ? P::BB : 1.0f;
            }
        }
    }
    template <class Sink>
    INLINE_MEMBER void inverse_reals(const Points& x, const Sink& sink) const {
        Vector v[N];
        for (int k = 0; k < N; ++k) v[k] = x.read(k);
        sums(v, sink);
    }
    template <class Sink>
    INLINE_MEMBER void reals_from_slots(SlotReader& slots, const Sink& sink) const {
        Vector v[N];
        for (int k = 0; k < N; ++k) v[k] = slots.read();
        sums(v, sink);
    }
    INLINE_MEMBER void inverse_line(Vector* buffer, TileLine line, int64_t step) const {
        const Points x = {buffer + line.real, step};
        inverse_reals(x, x);
    }
    INLINE_MEMBER void line_from_slots(Vector* buffer, TileLine line, SlotReader& slots) const {
        reals_from_slots(slots, Points{buffer + line.real, 1});
    }
};

// Calls body(Count<points>{}, Count<coefficients>{}) for what there is: 2 or 3 coefficients of 4
// points, 2 to 5 of 6.
template <class Body>
INLINE void with_coefficients(int64_t points, int64_t coefficients, Body body) {
    switch (points * 8 + coefficients) {
        case 4 * 8 + 2: body(Count<4>{}, Count<2>{}); break;
        case 4 * 8 + 3: body(Count<4>{}, Count<3>{}); break;
        case 6 * 8 + 2: body(Count<6>{}, Count<2>{}); break;
        case 6 * 8 + 3: body(Count<6>{}, Count<3>{}); break;
        case 6 * 8 + 4: body(Count<6>{}, Count<4>{}); break;
        case 6 * 8 + 5: body(Count<6>{}, Count<5>{}); break;
    }
}
