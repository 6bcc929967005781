// From the shards' gradients to the next weights.
#pragma once

// total = the sum of the shards, added in pairs of neighbours, then pairs of pairs: ((0 + 1) +
// (2 + 3)) + ... The tree depends on their number alone.
static void add_up(float* const* shards, int64_t count, int64_t shard_count, float* total,
                   Share share) {
    const Range mine = share_of(count, share);
    for_vectors(mine.first, mine.last, [&](int64_t i, auto part) {
        Vector sums[8] = {};
        for (int64_t s = 0; s < shard_count; ++s) sums[s] = part.read(shards[s] + i);
        for (int64_t distance = 1; distance < shard_count; distance *= 2)
            for (int64_t s = 0; s + distance < shard_count; s += 2 * distance)
                sums[s] += sums[s + distance];
        part.write(total + i, sums[0]);
    });
}

// The formulas of convlet.optimizers.SGD, in one pass: v' = m v - rate g; w' = w + v', or, with
// Nesterov's look ahead, w + m v' - rate g. Without momentum there is no velocity.
static bool gradient_descent(const float* value, const float* gradient, const float* velocity,
                             float* new_value, float* new_velocity, int64_t count, float rate,
                             float momentum, bool nesterov) {
    Vector not_finite = {};  // x - x is 0 for finite numbers and NaN for others
    for_vectors(0, count, [&](int64_t i, auto part) {
        const Vector step = part.read(gradient + i) * rate;
        Vector next;
        if (velocity) {
            const Vector v = part.read(velocity + i) * momentum - step;
            part.write(new_velocity + i, v);
            next = part.read(value + i) + (nesterov ? v * momentum - step : v);
        } else {
            next = part.read(value + i) - step;
        }
        part.write(new_value + i, next);
        not_finite += next - next;
    });
    return sum(not_finite) == 0;
}
