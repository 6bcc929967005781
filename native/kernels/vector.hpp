// One register of floats, for whichever instruction set this file is compiled for.
//
// GCC's and Clang's vector extensions give loads, stores, arithmetic and comparisons the same text on
// every processor; only the fused multiply-add needs an intrinsic, so that it is fused wherever
// the processor can and nowhere by the compiler's choice (-ffp-contract=off): equal sums give equal
// bits in every kernel. Included by kernels.cpp alone, inside the namespace of its instruction set,
// with everything static: object files for several instruction sets must share no inline function,
// or the linker may keep the one that this machine cannot run.
#pragma once

#if defined(__AVX512F__)
constexpr int WIDTH = 16;
constexpr int REGISTERS = 32;
#elif defined(__AVX2__)
constexpr int WIDTH = 8;
constexpr int REGISTERS = 16;
#elif defined(__aarch64__)
constexpr int WIDTH = 4;
constexpr int REGISTERS = 32;
#else
constexpr int WIDTH = 4;
constexpr int REGISTERS = 16;
#endif

typedef float Vector __attribute__((vector_size(4 * WIDTH)));
typedef int32_t Integers __attribute__((vector_size(4 * WIDTH)));
typedef float UnalignedVector __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define INLINE_MEMBER inline __attribute__((always_inline))

INLINE Vector load(const float* p) { return *reinterpret_cast<const UnalignedVector*>(p); }
INLINE void store(float* p, Vector v) { *reinterpret_cast<UnalignedVector*>(p) = v; }

// `x - {}` becomes one broadcast; `{} + x` would cost an addition, since -0 + 0 is not -0.
INLINE Vector broadcast(float x) { return x - Vector{}; }

// The first `count` < WIDTH values, zeros behind them; no memory behind them is touched.
#if defined(__AVX512F__)
INLINE __mmask16 first_lanes(int64_t count) { return (__mmask16)((1u << count) - 1); }
INLINE Vector load_first(const float* p, int64_t count) {
    return (Vector)_mm512_maskz_loadu_ps(first_lanes(count), p);
}
INLINE void store_first(float* p, Vector v, int64_t count) {
    _mm512_mask_storeu_ps(p, first_lanes(count), (__m512)v);
}
#else
INLINE Vector load_first(const float* p, int64_t count) {
    float values[WIDTH] = {};
    for (int64_t i = 0; i < count; ++i) values[i] = p[i];
    return load(values);
}
INLINE void store_first(float* p, Vector v, int64_t count) {
    float values[WIDTH];
    store(values, v);
    for (int64_t i = 0; i < count; ++i) p[i] = values[i];
}
#endif

INLINE Vector multiply_add(Vector a, Vector b, Vector c) {
#if defined(__AVX512F__)
    return (Vector)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
    return (Vector)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
    return (Vector)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;  // SSE2 has none: rounded twice, and the same way in every kernel
#endif
}

// `yes` where the condition (a comparison's all-ones) holds, else `no`.
INLINE Vector choose(Integers condition, Vector yes, Vector no) { return condition ? yes : no; }
INLINE Vector larger(Vector a, Vector b) { return choose(a > b, a, b); }
INLINE Vector smaller(Vector a, Vector b) { return choose(a < b, a, b); }

// The sum of all lanes, by halves: always in the same order.
INLINE float sum(Vector v) {
#if defined(__AVX512F__)
    typedef float Half __attribute__((vector_size(32)));
    const union { Vector whole; Half halves[2]; } cut = {v};
    const Half of_eight = cut.halves[0] + cut.halves[1];
#elif defined(__AVX2__)
    const Vector of_eight = v;
#endif
    typedef float Quarter __attribute__((vector_size(16)));
#if defined(__AVX2__)
    union { __typeof__(of_eight) whole; Quarter halves[2]; } rest = {of_eight};
    const Quarter of_four = rest.halves[0] + rest.halves[1];
#else
    const Quarter of_four = v;
#endif
    return (of_four[0] + of_four[2]) + (of_four[1] + of_four[3]);
}
