// Activation functions and their derivatives; the formulas are those of ops/activations.py.
//
// A convolution calls `activate_tile` on what it has just written and is still in the L1 cache, so
// no activation costs a pass over memory of its own.
#pragma once

constexpr float SELU_SCALE = 1.0507009873554805f;
constexpr float SELU_FLOOR = 1.7580993408473766f;  // scale * alpha

INLINE Vector activated(Activation function, Vector z) {
    const Vector zero = {};
    switch (function) {
        case Activation::linear: return z;
        // written so that NaN stays: it is not below 0
        case Activation::relu: return choose(z < zero, zero, z);
        case Activation::relu6:
            return choose(z < zero, zero, choose(z > 6.0f, broadcast(6.0f), z));
        case Activation::leaky_relu: return choose(z > zero, z, z * 0.2f);
        case Activation::elu: return choose(z > zero, z, exponential_minus_1(z));
        case Activation::selu:
            return choose(z > zero, z * SELU_SCALE, exponential_minus_1(z) * SELU_FLOOR);
        case Activation::tanh: return hyperbolic_tangent(z);
        case Activation::sigmoid: return logistic(z);
        case Activation::hard_sigmoid: {
            const Vector y = z / 6.0f + 0.5f;
            return choose(y < zero, zero, choose(y > 1.0f, broadcast(1.0f), y));
        }
        case Activation::softplus: return softplus_of(z);
        case Activation::softsign: return z / (absolute(z) + 1.0f);
        case Activation::exponential: return exponential(z);
        case Activation::silu: return z * logistic(z);
        case Activation::gelu: return z * normal_distribution(z);
        case Activation::mish: return z * hyperbolic_tangent(softplus_of(z));
    }
    return z;
}

// f'(z), from y = f(z) or from z itself, as ops/activations.py says for each.
INLINE Vector slope(Activation function, Vector known) {
    const Vector zero = {}, one = broadcast(1.0f), y = known, z = known;
    switch (function) {
        case Activation::linear: return one;
        case Activation::relu: return choose(y > zero, one, zero);
        case Activation::relu6: return choose((y > zero) & (y < 6.0f), one, zero);
        case Activation::leaky_relu: return choose(y > zero, one, broadcast(0.2f));
        case Activation::elu: return choose(y > zero, one, y + 1.0f);
        case Activation::selu: return choose(y > zero, broadcast(SELU_SCALE), y + SELU_FLOOR);
        case Activation::tanh: return 1.0f - y * y;
        case Activation::sigmoid: return y * (1.0f - y);
        case Activation::hard_sigmoid:
            return choose((y > zero) & (y < 1.0f), broadcast(1.0f / 6), zero);
        case Activation::softplus: return logistic(z);
        case Activation::softsign: {
            const Vector rest = 1.0f - absolute(y);
            return rest * rest;
        }
        case Activation::exponential: return y;
        case Activation::silu: {
            const Vector s = logistic(z);
            return s * (1.0f + z * (1.0f - s));
        }
        case Activation::gelu: {
            const Vector density = exponential(-0.5f * z * z) * 0.3989422804f;  // 1 / sqrt(2 pi)
            return normal_distribution(z) + z * density;
        }
        case Activation::mish: {
            const Vector t = hyperbolic_tangent(softplus_of(z));
            return t + z * (1.0f - t * t) * logistic(z);
        }
    }
    return one;
}

static void activation(Activation function, const float* x, float* y, int64_t count, Share share) {
    const Range mine = share_of(count, share);
    for_vectors(mine.first, mine.last, [&](int64_t i, auto part) {
        part.write(y + i, activated(function, part.read(x + i)));
    });
}

static void activation_gradient(Activation function, const float* delta, const float* known,
                                float* x_delta, int64_t count, Share share) {
    const Range mine = share_of(count, share);
    for_vectors(mine.first, mine.last, [&](int64_t i, auto part) {
        part.write(x_delta + i, part.read(delta + i) * slope(function, part.read(known + i)));
    });
}

// In place, `rows` rows of `length` floats, `step` apart.
static __attribute__((noinline)) void activate_tile(Activation function, float* y, int64_t rows,
                                                    int64_t step, int64_t length) {
    if (function == Activation::linear) return;
    for (int64_t row = 0; row < rows; ++row)
        for_vectors(row * step, row * step + length, [&](int64_t i, auto part) {
            part.write(y + i, activated(function, part.read(y + i)));
        });
}
