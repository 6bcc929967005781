// e^x, tanh and their kin on vectors: relative errors of a few 1e-7, infinities and NaN as they
// should be. What is rare goes lane by lane through the C library.
#pragma once

// r and n with x = r + n ln 2, |r| <= ln 2 / 2, for x that is not too large.
struct Reduced {
    Vector remainder, exponent;
};
INLINE Reduced reduced(Vector x) {
    const Vector magic = broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
    const Vector n = multiply_add(x, broadcast(1.44269504088896341f), magic) - magic;
    // ln 2 in two parts, the first with few digits so that n times it is exact (Cody and Waite)
    Vector r = multiply_add(n, broadcast(-0.693359375f), x);
    r = multiply_add(n, broadcast(2.12194440e-4f), r);
    return {r, n};
}

// e^r - 1 for |r| <= ln 2 / 2: its Taylor series to r^7, the rest is below 1e-8 r.
INLINE Vector small_exponential_minus_1(Vector r) {
    Vector p = broadcast(1.0f / 5040);
    p = multiply_add(p, r, broadcast(1.0f / 720));
    p = multiply_add(p, r, broadcast(1.0f / 120));
    p = multiply_add(p, r, broadcast(1.0f / 24));
    p = multiply_add(p, r, broadcast(1.0f / 6));
    p = multiply_add(p, r, broadcast(0.5f));
    return multiply_add(p * r, r, r);
}

// 2^n for integers n from -126 to 127.
INLINE Vector power_of_two(Vector n) {
    return (Vector)((__builtin_convertvector(n, Integers) + 127) << 23);
}

// e to these is just below infinity, and the smallest normal number.
constexpr float LARGEST_EXPONENT = 88.7228317f, SMALLEST_EXPONENT = -87.3365402f;

INLINE Vector exponential(Vector x) {
    const Vector inside =
        larger(smaller(x, broadcast(LARGEST_EXPONENT)), broadcast(SMALLEST_EXPONENT));
    const Reduced cut = reduced(inside);
    // 2^128 is no float, so the largest n is taken in two steps
    const Vector half = cut.exponent > 127.0f ? broadcast(1.0f) : broadcast(0.0f);
    const Vector p = small_exponential_minus_1(cut.remainder) + 1.0f;
    Vector y = p * power_of_two(cut.exponent - half) * (half + 1.0f);
    y = choose(x > LARGEST_EXPONENT, broadcast(__builtin_inff()), y);
    y = choose(x < SMALLEST_EXPONENT, Vector{}, y);
    return choose(x == x, y, x);
}

// e^x - 1 = 2^n (e^r - 1) + (2^n - 1), which keeps its digits where x and so n are near 0.
INLINE Vector exponential_minus_1(Vector x) {
    const Reduced cut = reduced(larger(smaller(x, broadcast(88.0f)), broadcast(-87.0f)));
    const Vector power = power_of_two(cut.exponent);
    const Vector y = multiply_add(small_exponential_minus_1(cut.remainder), power, power - 1.0f);
    return choose(x == x, y, x);
}

INLINE Vector absolute(Vector x) { return (Vector)((Integers)x & 0x7fffffff); }
INLINE Vector with_sign_of(Vector x, Vector sign) {
    return (Vector)(((Integers)x & 0x7fffffff) | ((Integers)sign & (int32_t)0x80000000));
}

// tanh x = (e^2x - 1) / (e^2x + 1); beyond 10 it is 1.
INLINE Vector hyperbolic_tangent(Vector x) {
    const Vector size = choose(absolute(x) > 10.0f, broadcast(10.0f), absolute(x));
    const Vector e = exponential_minus_1(size * 2.0f);
    return with_sign_of(e / (e + 2.0f), x);
}

INLINE Vector logistic(Vector x) { return 1.0f / (exponential(-x) + 1.0f); }

INLINE Vector square_root(Vector x) {
#if defined(__AVX512F__)
    return (Vector)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX2__)
    return (Vector)_mm256_sqrt_ps((__m256)x);
#elif defined(__aarch64__)
    return (Vector)vsqrtq_f32((float32x4_t)x);
#else
    return (Vector)_mm_sqrt_ps((__m128)x);
#endif
}

// ln x for x of at least 0: ln m + e ln 2 for x = m 2^e, sqrt(1/2) <= m < sqrt(2); the polynomial
// is that of the Cephes library's logf.
INLINE Vector logarithm(Vector x) {
    const Vector half = (Vector)(((Integers)x & 0x007fffff) | 0x3f000000);  // from 1/2 to below 1
    const Vector n = __builtin_convertvector(((Integers)x >> 23) - 126, Vector);
    const Integers is_small = half < 0.707106781f;
    const Vector e = choose(is_small, n - 1.0f, n);
    const Vector f = choose(is_small, half + half, half) - 1.0f, square = f * f;
    Vector p = broadcast(7.0376836292e-2f);
    p = multiply_add(p, f, broadcast(-1.1514610310e-1f));
    p = multiply_add(p, f, broadcast(1.1676998740e-1f));
    p = multiply_add(p, f, broadcast(-1.2420140846e-1f));
    p = multiply_add(p, f, broadcast(1.4249322787e-1f));
    p = multiply_add(p, f, broadcast(-1.6668057665e-1f));
    p = multiply_add(p, f, broadcast(2.0000714765e-1f));
    p = multiply_add(p, f, broadcast(-2.4999993993e-1f));
    p = multiply_add(p, f, broadcast(3.3333331174e-1f));
    Vector y = multiply_add(e, broadcast(-2.12194440e-4f), p * f * square);
    y = f + multiply_add(square, broadcast(-0.5f), y);
    y = multiply_add(e, broadcast(0.693359375f), y);
    y = choose(x == 0.0f, broadcast(-__builtin_inff()), y);
    return choose(x < __builtin_inff(), y, x);  // infinity and NaN stay
}

// --- lane by lane ---

static __attribute__((noinline, unused)) Vector softplus_of(Vector x) {
    float v[WIDTH];
    store(v, x);
    // written so that NaN stays: it is not below 0
    for (int i = 0; i < WIDTH; ++i) v[i] = (v[i] < 0 ? 0 : v[i]) + log1pf(expf(-fabsf(v[i])));
    return load(v);
}

// The standard normal distribution function.
static __attribute__((noinline, unused)) Vector normal_distribution(Vector x) {
    float v[WIDTH];
    store(v, x);
    for (int i = 0; i < WIDTH; ++i) v[i] = 0.5f * erfcf(-v[i] * 0.70710678f);
    return load(v);
}
