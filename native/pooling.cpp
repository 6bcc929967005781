// The stages of poolings and of their gradients.
#include <utility>

#include "stages.hpp"

namespace convlet {
namespace {

// Not merged: poolings look taps up one by one.
using Table = std::shared_ptr<const GatherTable>;

// The windows of a pooling, if no input is in two of them; else none.
Table windows_apart(const TapTable& taps) {
    const Gather inputs = taps.gather(true, false)->view();
    for (int64_t p = 0; p < inputs.patterns; ++p) {
        int64_t windows = 0;
        for (int32_t r = inputs.first_run[p]; r < inputs.first_run[p + 1]; ++r)
            windows += inputs.runs[r].taps;
        if (windows > 1) return nullptr;
    }
    return taps.gather(false, false);
}

// How many positions each window of a pooling holds.
std::vector<float> window_counts(const TapTable& taps) {
    const Gather table = taps.gather(false, false)->view();
    std::vector<float> counts;
    for (int64_t o = 0; o < table.outputs; ++o) {
        const int32_t pattern = table.pattern[o];
        int64_t count = 0;
        for (int32_t r = table.first_run[pattern]; r < table.first_run[pattern + 1]; ++r)
            count += table.runs[r].taps;
        counts.push_back(static_cast<float>(count));
    }
    return counts;
}

// Reductions of windows, and their gradients, which read the transposed table.
using Reduction = void (*)(const Pooling&, const float*, float*, Share);
using Slopes = void (*)(const Pooling&, const float*, const float*, const float*, float*, Share);

void reduction(Plan& plan, std::string name, const Table& table, int64_t channels,
               std::vector<float> counts, float sharpness, Reduction kernel, int x, int y,
               const Table& apart = nullptr) {
    plan.add(std::move(name), 0, [=, counts = std::move(counts)](const Call& call) {
        const Gather windows = apart ? apart->view() : Gather{};
        const Pooling a = {table->view(), call.plan.lanes(), channels,  nullptr, 0, counts.data(),
                           sharpness,     apart ? &windows : nullptr};
        kernel(a, call.buffer(x), call.buffer(y), call.share);
    });
}

void slopes(Plan& plan, std::string name, const TapTable& taps, int64_t channels, float sharpness,
            Slopes kernel, int delta, int x, int y, int x_delta) {
    const Table table = taps.gather(true, false);
    plan.add(std::move(name), 0, [=, counts = window_counts(taps)](const Call& call) {
        const Pooling a = {table->view(), call.plan.lanes(), channels, nullptr, 0, counts.data(),
                           sharpness, nullptr};
        kernel(a, call.buffer(delta), call.buffer(x), call.buffer(y), call.buffer(x_delta),
               call.share);
    });
}

// A sum is a mean of windows that count as one position.
std::vector<float> ones(const TapTable& taps) {
    return std::vector<float>(taps.gather(false, false)->view().outputs, 1.0f);
}

}  // namespace

void max_pool(Plan& plan, std::string name, const TapTable& taps, int64_t channels, int x, int y,
              int winner, int winner_bytes) {
    const Table table = taps.gather(false, false);
    plan.add(std::move(name), 0, [=](const Call& call) {
        const Pooling a = {table->view(), call.plan.lanes(), channels, call.buffer<uint8_t>(winner),
                           winner_bytes, nullptr, 0, nullptr};
        call.plan.kernels().max_pool(a, call.buffer(x), call.buffer(y), call.share);
    });
}

void max_pool_gradient(Plan& plan, std::string name, const TapTable& taps, int64_t channels,
                       int delta, int winner, int winner_bytes, int x_delta) {
    const Table table = taps.gather(true, false), apart = windows_apart(taps);
    plan.add(std::move(name), 0, [=](const Call& call) {
        const Gather windows = apart ? apart->view() : Gather{};
        const Pooling a = {table->view(), call.plan.lanes(), channels, call.buffer<uint8_t>(winner),
                           winner_bytes,  nullptr,           0,        apart ? &windows : nullptr};
        call.plan.kernels().max_pool_gradient(a, call.buffer(delta), call.buffer(x_delta),
                                              call.share);
    });
}

void average_pool(Plan& plan, std::string name, const TapTable& taps, int64_t channels, int x,
                  int y) {
    reduction(plan, std::move(name), taps.gather(false, false), channels, window_counts(taps), 0,
              plan.kernels().average_pool, x, y);
}

void average_pool_gradient(Plan& plan, std::string name, const TapTable& taps, int64_t channels,
                           int delta, int x_delta) {
    reduction(plan, std::move(name), taps.gather(true, false), channels, window_counts(taps), 0,
              plan.kernels().average_pool_gradient, delta, x_delta, windows_apart(taps));
}

void sum_pool(Plan& plan, std::string name, const TapTable& taps, int64_t channels, int x, int y) {
    reduction(plan, std::move(name), taps.gather(false, false), channels, ones(taps), 0,
              plan.kernels().average_pool, x, y);
}

void sum_pool_gradient(Plan& plan, std::string name, const TapTable& taps, int64_t channels,
                       int delta, int x_delta) {
    reduction(plan, std::move(name), taps.gather(true, false), channels, ones(taps), 0,
              plan.kernels().average_pool_gradient, delta, x_delta, windows_apart(taps));
}

void l2_pool(Plan& plan, std::string name, const TapTable& taps, int64_t channels, int x, int y) {
    reduction(plan, std::move(name), taps.gather(false, false), channels, {}, 0,
              plan.kernels().l2_pool, x, y);
}

void l2_pool_gradient(Plan& plan, std::string name, const TapTable& taps, int64_t channels,
                      int delta, int x, int y, int x_delta) {
    slopes(plan, std::move(name), taps, channels, 0, plan.kernels().l2_pool_gradient, delta, x, y,
           x_delta);
}

void log_sum_exp_pool(Plan& plan, std::string name, const TapTable& taps, int64_t channels, int x,
                      int y, float sharpness) {
    reduction(plan, std::move(name), taps.gather(false, false), channels, window_counts(taps),
              sharpness, plan.kernels().log_sum_exp_pool, x, y);
}

void log_sum_exp_pool_gradient(Plan& plan, std::string name, const TapTable& taps,
                               int64_t channels, int delta, int x, int y, int x_delta,
                               float sharpness) {
    slopes(plan, std::move(name), taps, channels, sharpness,
           plan.kernels().log_sum_exp_pool_gradient, delta, x, y, x_delta);
}

void stochastic_pool(Plan& plan, std::string name, const TapTable& taps, int64_t channels, int x,
                     int random_slot, int y, int winner, int winner_bytes, uint32_t layer) {
    const Table table = taps.gather(false, false);
    plan.add(std::move(name), 0, [=](const Call& call) {
        const uint64_t* random = call.slot<uint64_t>(random_slot);
        const Draws draws = {call.first_image(), random[0], random[1], layer};
        const Pooling a = {table->view(), call.plan.lanes(), channels,
                           call.buffer<uint8_t>(winner), winner_bytes, nullptr, 0, nullptr};
        call.plan.kernels().stochastic_pool(a, draws, call.buffer(x), call.buffer(y), call.share);
    });
}

void stochastic_pool_mean(Plan& plan, std::string name, const TapTable& taps, int64_t channels,
                          int x, int y, int total) {
    const Table table = taps.gather(false, false);
    plan.add(std::move(name), 0, [=](const Call& call) {
        const Pooling a = {table->view(), call.plan.lanes(), channels, nullptr, 0,
                           nullptr,       0,                 nullptr};
        call.plan.kernels().stochastic_pool_mean(a, call.buffer(x), call.buffer(y),
                                                 call.buffer(total), call.share);
    });
}

void stochastic_pool_mean_gradient(Plan& plan, std::string name, const TapTable& taps,
                                   int64_t channels, int delta, int x, int y, int total,
                                   int x_delta) {
    const Table table = taps.gather(true, false);
    plan.add(std::move(name), 0, [=](const Call& call) {
        const Pooling a = {table->view(), call.plan.lanes(), channels, nullptr, 0,
                           nullptr,       0,                 nullptr};
        call.plan.kernels().stochastic_pool_mean_gradient(
            a, call.buffer(delta), call.buffer(x), call.buffer(y), call.buffer(total),
            call.buffer(x_delta), call.share);
    });
}

}  // namespace convlet
