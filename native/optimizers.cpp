// The steps of optimizers.hpp: cut into chunks, which the kernels compute.
//
// Chunks depend on the weights' sizes alone, and their sums of squares are added up in order, so the
// bits are the same for any number of threads.
#include "optimizers.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <memory>

#include "threads.hpp"

namespace convlet {
namespace {

constexpr int64_t CHUNK = 1 << 14;  // floats: 64 KB of each array, and a few microseconds

struct Chunk {
    size_t weight;
    int64_t first, count;
};

std::vector<Chunk> chunks_of(const std::vector<WeightArrays>& weights) {
    std::vector<Chunk> chunks;
    for (size_t w = 0; w < weights.size(); ++w)
        for (int64_t first = 0; first < weights[w].count; first += CHUNK)
            chunks.push_back({w, first, std::min(CHUNK, weights[w].count - first)});
    return chunks;
}

void for_chunks(size_t count, int threads, const std::function<void(size_t)>& work) {
    threads = std::max(1, std::min<int>(threads, static_cast<int>(count)));
    run_in_threads(threads, [&](int part) {
        for (size_t c = part; c < count; c += threads) work(c);
    });
}

void clip_by_norm(const Kernels& kernels, const std::vector<Chunk>& chunks,
                  std::vector<WeightArrays>& weights, NormClip clip, double largest,
                  int threads) {
    std::vector<double> sums(chunks.size());
    for_chunks(chunks.size(), threads, [&](size_t c) {
        const float* gradient = weights[chunks[c].weight].gradient;
        sums[c] = kernels.sum_of_squares(gradient + chunks[c].first, chunks[c].count);
    });
    std::vector<double> squares(weights.size(), 0.0);
    double of_all = 0;
    for (size_t c = 0; c < chunks.size(); ++c) squares[chunks[c].weight] += sums[c];
    for (const double square : squares) of_all += square;
    for (size_t w = 0; w < weights.size(); ++w) {
        const double norm = std::sqrt(clip == NormClip::all ? of_all : squares[w]);
        weights[w].gradient_scale = norm > largest ? static_cast<float>(largest / norm) : 1.0f;
    }
}

}  // namespace

std::vector<bool> optimizer_step(const Kernels& kernels, const Step& step,
                                 std::vector<WeightArrays>& weights, NormClip clip,
                                 double largest_norm, int threads) {
    const std::vector<Chunk> chunks = chunks_of(weights);
    if (clip != NormClip::none)
        clip_by_norm(kernels, chunks, weights, clip, largest_norm, threads);
    const std::unique_ptr<std::atomic<bool>[]> finite(new std::atomic<bool>[weights.size()]);
    for (size_t w = 0; w < weights.size(); ++w) finite[w] = true;
    for_chunks(chunks.size(), threads, [&](size_t c) {
        const auto& [weight, first, count] = chunks[c];
        if (!kernels.optimizer_step(step, weights[weight], first, count)) finite[weight] = false;
    });
    return std::vector<bool>(finite.get(), finite.get() + weights.size());
}

}  // namespace convlet
