// Activation functions and their derivatives; the formulas are those of ops/activations.py.
//
// A convolution calls `activate_tile` on what it has just written and is still in the L1 cache, so
// no activation costs a pass over memory of its own.
#pragma once

constexpr float SELU_SCALE = 1.0507009873554805f;
constexpr float SELU_FLOOR = 1.7580993408473766f;  // scale * alpha

INLINE Vector activated(const Activation& function, Vector z) {
    const Vector zero = {};
    const float* p = function.parameters;
    switch (function.name) {
        case ActivationName::linear: return z;
        // written so that NaN stays: it is not below 0
        case ActivationName::relu: return choose(z < zero, zero, z);
        case ActivationName::relu6:
            return choose(z < zero, zero, choose(z > 6.0f, broadcast(6.0f), z));
        case ActivationName::leaky_relu: return choose(z > zero, z, z * p[0]);
        case ActivationName::elu: return choose(z > zero, z, exponential_minus_1(z) * p[0]);
        case ActivationName::selu:
            return choose(z > zero, z * SELU_SCALE, exponential_minus_1(z) * SELU_FLOOR);
        case ActivationName::tanh: return hyperbolic_tangent(z);
        case ActivationName::sigmoid: return logistic(z);
        case ActivationName::hard_sigmoid: {
            const Vector y = z / 6.0f + 0.5f;
            return choose(y < zero, zero, choose(y > 1.0f, broadcast(1.0f), y));
        }
        case ActivationName::softplus: return softplus_of(z);
        case ActivationName::softsign: return z / (absolute(z) + 1.0f);
        case ActivationName::exponential: return exponential(z);
        case ActivationName::silu: return z * logistic(z);
        case ActivationName::gelu: return z * normal_distribution(z);
        case ActivationName::mish: return z * hyperbolic_tangent(softplus_of(z));
        case ActivationName::rectifier:
            return choose(z < p[1], (z - p[1]) * p[0], choose(z > p[2], broadcast(p[2]), z));
    }
    return z;
}

// f'(z), from y = f(z) or from z itself, as ops/activations.py says for each.
INLINE Vector slope(const Activation& function, Vector known) {
    const Vector zero = {}, one = broadcast(1.0f), y = known, z = known;
    const float* p = function.parameters;
    switch (function.name) {
        case ActivationName::linear: return one;
        case ActivationName::relu: return choose(y > zero, one, zero);
        case ActivationName::relu6: return choose((y > zero) & (y < 6.0f), one, zero);
        case ActivationName::leaky_relu: return choose(y > zero, one, broadcast(p[0]));
        case ActivationName::elu: return choose(y > zero, one, y + p[0]);
        case ActivationName::selu: return choose(y > zero, broadcast(SELU_SCALE), y + SELU_FLOOR);
        case ActivationName::tanh: return 1.0f - y * y;
        case ActivationName::sigmoid: return y * (1.0f - y);
        case ActivationName::hard_sigmoid:
            return choose((y > zero) & (y < 1.0f), broadcast(1.0f / 6), zero);
        case ActivationName::softplus: return logistic(z);
        case ActivationName::softsign: {
            const Vector rest = 1.0f - absolute(y);
            return rest * rest;
        }
        case ActivationName::exponential: return y;
        case ActivationName::silu: {
            const Vector s = logistic(z);
            return s * (1.0f + z * (1.0f - s));
        }
        case ActivationName::gelu: {
            const Vector density = exponential(-0.5f * z * z) * 0.3989422804f;  // 1 / sqrt(2 pi)
            return normal_distribution(z) + z * density;
        }
        case ActivationName::mish: {
            const Vector t = hyperbolic_tangent(softplus_of(z));
            return t + z * (1.0f - t * t) * logistic(z);
        }
        case ActivationName::rectifier:
            return choose(z < p[1], broadcast(p[0]), choose(z < p[2], one, zero));
    }
    return one;
}

static void activation(const Activation& function, const float* x, float* y, int64_t count, Share share) {
    const Range mine = share_of(count, share);
    for_vectors(mine.first, mine.last, [&](int64_t i, auto part) {
        part.write(y + i, activated(function, part.read(x + i)));
    });
}

static void activation_gradient(const Activation& function, const float* delta,
                                const float* known, float* x_delta, int64_t count, Share share) {
    const Range mine = share_of(count, share);
    for_vectors(mine.first, mine.last, [&](int64_t i, auto part) {
        part.write(x_delta + i, part.read(delta + i) * slope(function, part.read(known + i)));
    });
}

// In place, `rows` rows of `length` floats, `step` apart.
static __attribute__((noinline)) void activate_tile(const Activation& function, float* y, int64_t rows,
                                                    int64_t step, int64_t length) {
    if (function.name == ActivationName::linear) return;
    for (int64_t row = 0; row < rows; ++row)
        for_vectors(row * step, row * step + length, [&](int64_t i, auto part) {
            part.write(y + i, activated(function, part.read(y + i)));
        });
}
