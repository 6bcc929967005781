// The optimizers' rules: from a weight, its gradient and what is remembered of it, the slots, to the
// next ones. The formulas are those of convlet.optimizers, where each has its source.
//
// A weight is gone through once: gradient clipped, weight decayed, the rule, its moving average. All
// this is limited by memory (Adam reads four arrays and writes three), so a rule is written plainly,
// and what depends on the step alone comes as a number from outside. Every comparison is written so
// that NaN stays: a step that is not finite must be seen.
#pragma once

INLINE Vector sign_of(Vector x) {
    return choose(x > 0.0f, broadcast(1.0f), choose(x < 0.0f, broadcast(-1.0f), x));
}

INLINE Vector clamped(Vector x, float limit) {
    return choose(x > limit, broadcast(limit), choose(x < -limit, broadcast(-limit), x));
}

// Goes through a part of a weight; rule(gradient, weight, slots) changes the slots and returns the
// next weight. Returns whether that and all that is remembered is finite.
template <int SLOTS, class Rule>
INLINE bool follow(const Step& step, const WeightArrays& a, int64_t first, int64_t count,
                   Rule rule) {
    Vector not_finite = {};  // x - x is 0 for finite numbers and NaN for others
    for_vectors(first, first + count, [&](int64_t i, auto part) {
        Vector g = part.read(a.gradient + i) * a.gradient_scale;
        if (step.largest_gradient > 0) g = clamped(g, step.largest_gradient);
        const Vector w = part.read(a.value + i);
        Vector slots[SLOTS + 1];
        for (int s = 0; s < SLOTS; ++s) slots[s] = part.read(a.slots[s] + i);
        Vector next = rule(g, w - w * a.decay, slots);
        for (int s = 0; s < SLOTS; ++s) {
            part.write(a.new_slots[s] + i, slots[s]);
            not_finite += slots[s] - slots[s];
        }
        if (a.average) {
            const Vector average = part.read(a.average + i) * step.average_momentum +
                                   next * (1.0f - step.average_momentum);
            part.write(a.new_average + i, average);
            if (step.takes_average) next = average;
        }
        part.write(a.new_value + i, next);
        not_finite += next - next;
    });
    return sum(not_finite) == 0;
}

// n[0] the learning rate, n[1] the momentum, n[2] whether to look ahead
static bool descend(const Step& step, const WeightArrays& a, int64_t first, int64_t count) {
    const float rate = step.numbers[0], momentum = step.numbers[1];
    if (a.slot_count == 0)
        return follow<0>(step, a, first, count,
                         [=](Vector g, Vector w, Vector*) { return w - g * rate; });
    const bool nesterov = step.numbers[2] != 0;
    return follow<1>(step, a, first, count, [=](Vector g, Vector w, Vector* velocity) {
        velocity[0] = velocity[0] * momentum - g * rate;
        return w + (nesterov ? velocity[0] * momentum - g * rate : velocity[0]);
    });
}

// n[0] the corrected rate, n[1] 1 - beta 1, n[2] 1 - beta 2, n[3] epsilon
static bool adam(const Step& step, const WeightArrays& a, int64_t first, int64_t count) {
    const float* n = step.numbers;
    const float rate = n[0], fresh_1 = n[1], fresh_2 = n[2], epsilon = n[3];
    const auto moments = [=](Vector g, Vector* s) {
        s[0] += (g - s[0]) * fresh_1;
        s[1] += (g * g - s[1]) * fresh_2;
    };
    if (a.slot_count == 2)
        return follow<2>(step, a, first, count, [=](Vector g, Vector w, Vector* s) {
            moments(g, s);
            return w - s[0] * rate / (square_root(s[1]) + epsilon);
        });
    return follow<3>(step, a, first, count, [=](Vector g, Vector w, Vector* s) {
        moments(g, s);
        s[2] = larger(s[2], s[1]);
        return w - s[0] * rate / (square_root(s[2]) + epsilon);
    });
}

// n[0] the corrected rate, n[1] 1 - beta 1, n[2] beta 2, n[3] epsilon
static bool adamax(const Step& step, const WeightArrays& a, int64_t first, int64_t count) {
    const float* n = step.numbers;
    const float rate = n[0], fresh_1 = n[1], beta_2 = n[2], epsilon = n[3];
    return follow<2>(step, a, first, count, [=](Vector g, Vector w, Vector* s) {
        s[0] += (g - s[0]) * fresh_1;
        s[1] = larger(s[1] * beta_2, absolute(g));
        return w - s[0] * rate / (s[1] + epsilon);
    });
}

// n[0] and n[1] the corrected rates of momentum and gradient, n[2] 1 - beta 1, n[3] 1 - beta 2,
// n[4] the velocity's correction, n[5] epsilon
static bool nadam(const Step& step, const WeightArrays& a, int64_t first, int64_t count) {
    const float* n = step.numbers;
    const float of_momentum = n[0], of_gradient = n[1], fresh_1 = n[2], fresh_2 = n[3];
    const float correction = n[4], epsilon = n[5];
    return follow<2>(step, a, first, count, [=](Vector g, Vector w, Vector* s) {
        s[0] += (g - s[0]) * fresh_1;
        s[1] += (g * g - s[1]) * fresh_2;
        return w - (s[0] * of_momentum + g * of_gradient) /
                       (square_root(s[1] * correction) + epsilon);
    });
}

template <bool HAS_MOMENTUM, bool IS_CENTERED>
INLINE bool rms_step(const Step& step, const WeightArrays& a, int64_t first, int64_t count) {
    const float* n = step.numbers;
    const float rate = n[0], rho = n[1], fresh = n[2], epsilon = n[3], momentum = n[4];
    constexpr int SLOTS = 1 + HAS_MOMENTUM + IS_CENTERED;
    return follow<SLOTS>(step, a, first, count, [=](Vector g, Vector w, Vector* s) {
        s[0] = s[0] * rho + g * g * fresh;
        Vector variance = s[0];
        if constexpr (IS_CENTERED) {
            Vector& mean = s[SLOTS - 1];
            mean = mean * rho + g * fresh;
            variance -= mean * mean;
            variance = choose(variance < 0.0f, Vector{}, variance);  // which rounding may make it
        }
        Vector change = g * rate / square_root(variance + epsilon);
        if constexpr (HAS_MOMENTUM) change = s[1] = s[1] * momentum + change;
        return w - change;
    });
}

// n[0] the learning rate, n[1] rho, n[2] 1 - rho, n[3] epsilon, n[4] the momentum, n[5] whether
// centered; the slots are the velocity, the momentum if there is one, the mean gradient if centered
static bool rmsprop(const Step& step, const WeightArrays& a, int64_t first, int64_t count) {
    const bool has_momentum = step.numbers[4] > 0, is_centered = step.numbers[5] != 0;
    if (has_momentum)
        return is_centered ? rms_step<true, true>(step, a, first, count)
                           : rms_step<true, false>(step, a, first, count);
    return is_centered ? rms_step<false, true>(step, a, first, count)
                       : rms_step<false, false>(step, a, first, count);
}

// n[0] the learning rate, n[1] epsilon
static bool adagrad(const Step& step, const WeightArrays& a, int64_t first, int64_t count) {
    const float rate = step.numbers[0], epsilon = step.numbers[1];
    return follow<1>(step, a, first, count, [=](Vector g, Vector w, Vector* s) {
        s[0] += g * g;
        return w - g * rate / square_root(s[0] + epsilon);
    });
}

// n[0] the learning rate, n[1] rho, n[2] 1 - rho, n[3] epsilon
static bool adadelta(const Step& step, const WeightArrays& a, int64_t first, int64_t count) {
    const float* n = step.numbers;
    const float rate = n[0], rho = n[1], fresh = n[2], epsilon = n[3];
    return follow<2>(step, a, first, count, [=](Vector g, Vector w, Vector* s) {
        s[0] = s[0] * rho + g * g * fresh;
        const Vector change = square_root(s[1] + epsilon) * g / square_root(s[0] + epsilon);
        s[1] = s[1] * rho + change * change * fresh;
        return w - change * rate;
    });
}

// n[0] the learning rate, n[1] beta 1, n[2] 1 - beta 1, n[3] beta 2, n[4] 1 - beta 2
static bool lion(const Step& step, const WeightArrays& a, int64_t first, int64_t count) {
    const float* n = step.numbers;
    const float rate = n[0], beta_1 = n[1], fresh_1 = n[2], beta_2 = n[3], fresh_2 = n[4];
    return follow<1>(step, a, first, count, [=](Vector g, Vector w, Vector* s) {
        const Vector direction = sign_of(s[0] * beta_1 + g * fresh_1);
        s[0] = s[0] * beta_2 + g * fresh_2;
        return w - direction * rate;
    });
}

// The step of some of a weight's numbers.
static bool optimizer_step(const Step& step, const WeightArrays& a, int64_t first, int64_t count) {
    switch (step.rule) {
        case Rule::descent: return descend(step, a, first, count);
        case Rule::adam: return adam(step, a, first, count);
        case Rule::adamax: return adamax(step, a, first, count);
        case Rule::nadam: return nadam(step, a, first, count);
        case Rule::rmsprop: return rmsprop(step, a, first, count);
        case Rule::adagrad: return adagrad(step, a, first, count);
        case Rule::adadelta: return adadelta(step, a, first, count);
        case Rule::lion: return lion(step, a, first, count);
    }
    return false;
}

// The sum of the squares, in float64: a gradient of 1e20 has a square that is no float32.
static double sum_of_squares(const float* x, int64_t count) {
    typedef float Half __attribute__((vector_size(2 * WIDTH)));
    typedef double Wide __attribute__((vector_size(4 * WIDTH)));
    Wide sums[2] = {};
    for_vectors(0, count, [&](int64_t i, auto part) {
        const union { Vector whole; Half halves[2]; } cut = {part.read(x + i)};
        for (int h = 0; h < 2; ++h) {
            const Wide wide = __builtin_convertvector(cut.halves[h], Wide);
            sums[h] += wide * wide;
        }
    });
    const Wide both = sums[0] + sums[1];
    double total = 0;
    for (int lane = 0; lane < WIDTH / 2; ++lane) total += both[lane];
    return total;
}
