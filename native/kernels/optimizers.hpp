// From the shards' gradients to the gradient; rules.hpp goes on to the next weights.
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
