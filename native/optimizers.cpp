// The steps of optimizers.hpp: cut into chunks, which the kernels compute.
#include "optimizers.hpp"

#include <algorithm>
#include <atomic>
#include <memory>

#include "threads.hpp"

namespace convlet {
namespace {

constexpr int64_t CHUNK = 1 << 14;  // floats: 64 KB of each array, and a few microseconds

struct Chunk {
    size_t weight;
    int64_t first, count;
};

std::vector<Chunk> chunks_of(const std::vector<Descent>& weights) {
    std::vector<Chunk> chunks;
    for (size_t w = 0; w < weights.size(); ++w)
        for (int64_t first = 0; first < weights[w].count; first += CHUNK)
            chunks.push_back({w, first, std::min(CHUNK, weights[w].count - first)});
    return chunks;
}

}  // namespace

std::vector<bool> gradient_descent(const Kernels& kernels, const std::vector<Descent>& weights,
                                   float rate, float momentum, bool nesterov, int threads) {
    const std::vector<Chunk> chunks = chunks_of(weights);
    const std::unique_ptr<std::atomic<bool>[]> finite(new std::atomic<bool>[weights.size()]);
    for (size_t w = 0; w < weights.size(); ++w) finite[w] = true;
    threads = std::max(1, std::min<int>(threads, static_cast<int>(chunks.size())));
    run_in_threads(threads, [&](int part) {
        for (size_t c = part; c < chunks.size(); c += threads) {
            const Descent& w = weights[chunks[c].weight];
            const int64_t first = chunks[c].first;
            const bool is_finite = kernels.gradient_descent(
                w.value + first, w.gradient + first, w.velocity ? w.velocity + first : nullptr,
                w.new_value + first, w.new_velocity ? w.new_velocity + first : nullptr,
                chunks[c].count, rate, momentum, nesterov);
            if (!is_finite) finite[chunks[c].weight] = false;
        }
    });
    return std::vector<bool>(finite.get(), finite.get() + weights.size());
}

}  // namespace convlet
