// The losses' values and gradients, both in one pass; formulas and clipping are those of
// convlet.losses. Image by image: a loss reads a few numbers where a network computed millions.
//
// A value times its weight goes to `values`, the gradient by the prediction times that weight to
// `delta`, whose lanes without an image become zero.
#pragma once

constexpr float EPSILON = 1e-7f;  // probabilities are kept this far from 0 and 1

INLINE float clipped(float p) {
    return p < EPSILON ? EPSILON : p > 1 - EPSILON ? 1 - EPSILON : p;
}
INLINE bool is_clipped(float p) { return p < EPSILON || p > 1 - EPSILON; }

// One position of one image: `channels` predictions and as many targets, `lanes` floats apart.
struct Row {
    int64_t channels, lanes;
    const float* prediction;
    const float* targets;  // side by side; null where there is a label
    int32_t label;
    float weight;
    float* delta;          // null if no gradient is asked for

    INLINE_MEMBER float y(int64_t c) const { return prediction[c * lanes]; }
    INLINE_MEMBER float target(int64_t c, float smoothing) const {
        if (!targets) return c == label ? 1.0f : 0.0f;
        return (1 - smoothing) * targets[c] + smoothing / channels;
    }
    INLINE_MEMBER void set_delta(int64_t c, float d) const {
        if (delta) delta[c * lanes] = d * weight;
    }
};

// 1/c sum (p - t)^2, and 2/c (p - t)
static float squared_error(const Row& row) {
    float total = 0;
    for (int64_t c = 0; c < row.channels; ++c) {
        const float error = row.y(c) - row.target(c, 0);
        total += error * error;
        row.set_delta(c, error * (2.0f / row.channels));
    }
    return total / row.channels;
}

// with z: ln(1 + e^z) - t z, and sigmoid(z) - t; with p: -t ln p - (1 - t) ln(1 - p)
static float binary_crossentropy(const Row& row, bool from_logits, float smoothing) {
    float total = 0;
    for (int64_t c = 0; c < row.channels; ++c) {
        const float t = row.targets ? (1 - smoothing) * row.targets[c] + smoothing / 2 : 0;
        if (from_logits) {
            const float z = row.y(c), e = expf(-fabsf(z));
            total += (z < 0 ? 0 : z) - t * z + log1pf(e);
            row.set_delta(c, ((z >= 0 ? 1 : e) / (1 + e) - t) / row.channels);
            continue;
        }
        const float p = clipped(row.y(c));
        total -= t * logf(p) + (1 - t) * logf(1 - p);
        row.set_delta(c, is_clipped(row.y(c)) ? 0 : (p - t) / (p * (1 - p)) / row.channels);
    }
    return total / row.channels;
}

// with z: -sum t ln softmax(z), and softmax(z) sum t - t, lecture 001's p - 1(y = i)
static float crossentropy_of_logits(const Row& row, float smoothing) {
    float largest = row.y(0), total = 0, value = 0, targets = 0;
    for (int64_t c = 1; c < row.channels; ++c)
        if (row.y(c) > largest || row.y(c) != row.y(c)) largest = row.y(c);
    for (int64_t c = 0; c < row.channels; ++c) total += expf(row.y(c) - largest);
    const float log_total = logf(total);
    for (int64_t c = 0; c < row.channels; ++c) {
        const float t = row.target(c, smoothing);
        // multiplied also where t is 0: a prediction that is not finite must show
        value -= t * (row.y(c) - largest - log_total);
        targets += t;
    }
    for (int64_t c = 0; c < row.channels; ++c)
        row.set_delta(c, expf(row.y(c) - largest - log_total) * targets - row.target(c, smoothing));
    return value;
}

// with p: q = p / sum p, clipped; -sum t ln q, and (by q_c - sum q by q) / sum p
static float crossentropy_of_probabilities(const Row& row, float smoothing) {
    float total = 0, value = 0, mixed = 0;
    for (int64_t c = 0; c < row.channels; ++c) total += row.y(c);
    for (int64_t c = 0; c < row.channels; ++c) {
        const float q = row.y(c) / total, t = row.target(c, smoothing);
        value -= t * logf(clipped(q));
        mixed += is_clipped(q) ? 0 : -t;  // q times the derivative by q, -t / q
    }
    for (int64_t c = 0; c < row.channels; ++c) {
        const float q = row.y(c) / total;
        const float by_q = is_clipped(q) ? 0 : -row.target(c, smoothing) / q;
        row.set_delta(c, (by_q - mixed) / total);
    }
    return value;
}

static float value_of(const LossArguments& a, const Row& row) {
    switch (a.loss) {
        case Loss::squared_error: return squared_error(row);
        case Loss::binary_crossentropy:
            return binary_crossentropy(row, a.from_logits, a.label_smoothing);
        default:
            return a.from_logits ? crossentropy_of_logits(row, a.label_smoothing)
                                 : crossentropy_of_probabilities(row, a.label_smoothing);
    }
}

static void loss(const LossArguments& a, const float* prediction, float* delta, Share share) {
    const Range mine = share_of(a.positions, share);
    for (int64_t p = mine.first; p < mine.last; ++p) {
        const int64_t start = p * a.channels * a.lanes;
        for (int64_t image = 0; image < a.images; ++image) {
            const int64_t place = image * a.positions + p;
            const Row row = {a.channels, a.lanes, prediction + start + image,
                             a.targets ? a.targets + place * a.channels : nullptr,
                             a.labels ? a.labels[place] : 0, a.weights[place],
                             delta ? delta + start + image : nullptr};
            a.values[place] = value_of(a, row) * row.weight;
        }
        if (!delta) continue;
        for (int64_t c = 0; c < a.channels; ++c)
            for (int64_t lane = a.images; lane < a.lanes; ++lane)
                delta[start + c * a.lanes + lane] = 0;
    }
}
