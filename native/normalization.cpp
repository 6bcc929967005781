// The stages of normalization.
//
// By the batch: sums over each block, what they come to, and what is done with it. Statistics of the whole batch take a phase by blocks, in which every block leaves its sums in
// memory of its own, and a phase together, in which the threads share the channels out and put the
// blocks' sums together, in order and in double precision: the same bits for any number of threads.
// Means and squared distances are joined as Chan, Golub and LeVeque do (1983), where nothing
// cancels. What a channel is multiplied by and what is added is found once, between the phases, so
// that normalizing is one multiply-add a number.
#include <algorithm>
#include <cmath>
#include <utility>

#include "stages.hpp"

namespace convlet {
namespace {

// Two numbers for each channel of each block.
int add_block_sums(Plan& plan, int64_t channels) {
    return plan.add_memory(2 * channels * plan.blocks());
}

float* block_sums(const Plan& plan, int memory, int64_t channels, int64_t block) {
    return plan.memory(memory) + 2 * channels * block;
}

ChannelSums sums_of(const Call& call, int64_t positions, int64_t channels) {
    return {call.plan.lanes(), positions, channels, call.images()};
}

// How many numbers a block's sums are of, for each channel.
double numbers_of(const Plan& plan, int64_t block, int64_t positions) {
    const int64_t images = std::min(plan.lanes(), plan.images() - block * plan.lanes());
    return static_cast<double>(images * positions);
}

// body(channel) for this thread's part of the channels.
template <class Body>
void for_channels_of(const Call& call, int64_t channels, Body body) {
    const int64_t first = channels * call.share.part / call.share.parts;
    const int64_t last = channels * (call.share.part + 1) / call.share.parts;
    for (int64_t c = first; c < last; ++c) body(c);
}

}  // namespace

int block_moments(Plan& plan, std::string name, int x, int64_t positions, int64_t channels) {
    const int memory = add_block_sums(plan, channels);
    const double operations = 4.0 * positions * channels * plan.images();
    plan.add(std::move(name), operations, [=](const Call& call) {
        float* mean = block_sums(call.plan, memory, channels, call.block);
        call.plan.kernels().block_moments(sums_of(call, positions, channels), call.buffer(x), mean,
                                          mean + channels, call.share);
    });
    return memory;
}

void channel_moments(Plan& plan, std::string name, int moments, int mean_slot, int variance_slot,
                     int64_t positions, int64_t channels) {
    plan.add(std::move(name), 0, [=](const Call& call) {
        const Plan& p = call.plan;
        const double count = static_cast<double>(positions) * p.images();
        for_channels_of(call, channels, [&](int64_t c) {
            double total = 0, squares = 0;
            for (int64_t b = 0; b < p.blocks(); ++b)
                total += numbers_of(p, b, positions) * block_sums(p, moments, channels, b)[c];
            const double mean = total / count;
            for (int64_t b = 0; b < p.blocks(); ++b) {
                const float* of_block = block_sums(p, moments, channels, b);
                const double distance = of_block[c] - mean;
                squares += of_block[channels + c];
                squares += numbers_of(p, b, positions) * distance * distance;
            }
            call.slot(mean_slot)[c] = static_cast<float>(mean);
            call.slot(variance_slot)[c] = static_cast<float>(squares / count);
        });
    });
}

int block_gradient_sums(Plan& plan, std::string name, int delta, int x, int mean_slot,
                        int64_t positions, int64_t channels) {
    const int memory = add_block_sums(plan, channels);
    const double operations = 4.0 * positions * channels * plan.images();
    plan.add(std::move(name), operations, [=](const Call& call) {
        float* sums = block_sums(call.plan, memory, channels, call.block);
        call.plan.kernels().block_gradient_sums(sums_of(call, positions, channels),
                                                call.buffer(delta), call.buffer(x),
                                                call.slot(mean_slot), sums, sums + channels,
                                                call.share);
    });
    return memory;
}

void normalization_sums(Plan& plan, std::string name, int sums, int variance_slot,
                        int gamma_gradient_slot, int beta_gradient_slot, double epsilon,
                        int64_t channels) {
    plan.add(std::move(name), 0, [=](const Call& call) {
        const Plan& p = call.plan;
        for_channels_of(call, channels, [&](int64_t c) {
            double of_delta = 0, of_products = 0;
            for (int64_t b = 0; b < p.blocks(); ++b) {
                const float* of_block = block_sums(p, sums, channels, b);
                of_delta += of_block[c];
                of_products += of_block[channels + c];
            }
            const double variance = call.slot(variance_slot)[c];
            call.slot(beta_gradient_slot)[c] = static_cast<float>(of_delta);
            call.slot(gamma_gradient_slot)[c] =
                static_cast<float>(of_products / std::sqrt(variance + epsilon));
        });
    });
}

int normalization_coefficients(Plan& plan, std::string name, int mean_slot, int variance_slot,
                               int gamma_slot, int beta_slot, double epsilon, int64_t channels) {
    const int memory = plan.add_memory(2 * channels);
    plan.add(std::move(name), 0, [=](const Call& call) {
        float* factor = call.plan.memory(memory);
        for_channels_of(call, channels, [&](int64_t c) {
            const double variance = call.slot(variance_slot)[c];
            const double scale = call.slot(gamma_slot)[c] / std::sqrt(variance + epsilon);
            const double mean = mean_slot < 0 ? 0.0 : call.slot(mean_slot)[c];
            const double beta = beta_slot < 0 ? 0.0 : call.slot(beta_slot)[c];
            factor[c] = static_cast<float>(scale);
            factor[channels + c] = mean_slot < 0 ? 0.0f : static_cast<float>(beta - mean * scale);
        });
    });
    return memory;
}

void normalize(Plan& plan, std::string name, int coefficients, int x, int y, int64_t positions,
               int64_t channels, int residual, const Activation& activation) {
    plan.add(std::move(name), 0, [=](const Call& call) {
        call.plan.kernels().normalize(activation, call.buffer(x), call.plan.memory(coefficients),
                                      call.buffer(residual), call.buffer(y), positions, channels,
                                      call.plan.lanes(), call.share);
    });
}

int batch_normalize_gradient_coefficients(Plan& plan, std::string name, int mean_slot,
                                          int variance_slot, int gamma_slot,
                                          int gamma_gradient_slot, int beta_gradient_slot,
                                          double epsilon, int64_t positions, int64_t channels) {
    const int memory = plan.add_memory(3 * channels);
    plan.add(std::move(name), 0, [=](const Call& call) {
        float* factor = call.plan.memory(memory);
        const double count = static_cast<double>(positions) * call.plan.images();
        for_channels_of(call, channels, [&](int64_t c) {
            const double variance = call.slot(variance_slot)[c];
            const double inverse = 1 / std::sqrt(variance + epsilon);
            const double of_x = -inverse * call.slot(gamma_gradient_slot)[c] / count;
            const double of_all = -call.slot(beta_gradient_slot)[c] / count;
            factor[c] = static_cast<float>(call.slot(gamma_slot)[c] * inverse);
            factor[channels + c] = static_cast<float>(of_x);
            factor[2 * channels + c] =
                static_cast<float>(of_all - of_x * call.slot(mean_slot)[c]);
        });
    });
    return memory;
}

void batch_normalize_gradient(Plan& plan, std::string name, int coefficients, int delta, int x,
                              int x_delta, int64_t positions, int64_t channels) {
    plan.add(std::move(name), 0, [=](const Call& call) {
        call.plan.kernels().combine(sums_of(call, positions, channels), call.buffer(delta),
                                    call.buffer(x), call.plan.memory(coefficients),
                                    call.buffer(x_delta), call.share);
    });
}

// --- within one image ---

namespace {

Sets sets_of(const Plan& plan, const SetShape& shape, float epsilon) {
    return {plan.lanes(), shape.outer, shape.sets, shape.inner, epsilon};
}

// A radius beyond all channels reaches no more than all channels.
Neighbours neighbours_of(const Plan& plan, const ResponseNormalization& with, int64_t positions,
                         int64_t channels) {
    return {plan.lanes(), positions, channels, std::min(with.radius, channels - 1),
            with.bias, with.alpha, with.beta};
}

int64_t row_bytes(const Neighbours& a) { return 4 * a.lanes * (a.channels + 2 * a.radius); }

}  // namespace

void standardize(Plan& plan, std::string name, const SetShape& shape, float epsilon, int x, int y) {
    const Sets a = sets_of(plan, shape, epsilon);
    plan.add(std::move(name), 0, [=](const Call& call) {
        call.plan.kernels().standardize(a, call.buffer(x), call.buffer(y), call.share);
    });
}

void standardize_gradient(Plan& plan, std::string name, const SetShape& shape, float epsilon,
                          int delta, int x, int x_delta) {
    const Sets a = sets_of(plan, shape, epsilon);
    plan.add(std::move(name), 0, [=](const Call& call) {
        call.plan.kernels().standardize_gradient(a, call.buffer(delta), call.buffer(x),
                                                 call.buffer(x_delta), call.share);
    });
}

void local_response_normalization(Plan& plan, std::string name, const ResponseNormalization& with,
                                  int x, int y, int64_t positions, int64_t channels) {
    const Neighbours a = neighbours_of(plan, with, positions, channels);
    plan.need_scratch(row_bytes(a));
    plan.add(std::move(name), 0, [=](const Call& call) {
        call.plan.kernels().local_response_normalization(
            a, call.buffer(x), call.buffer(y), reinterpret_cast<float*>(call.scratch), call.share);
    });
}

void local_response_normalization_gradient(Plan& plan, std::string name,
                                           const ResponseNormalization& with, int delta, int x,
                                           int x_delta, int64_t positions, int64_t channels) {
    const Neighbours a = neighbours_of(plan, with, positions, channels);
    plan.need_scratch(2 * row_bytes(a));
    plan.add(std::move(name), 0, [=](const Call& call) {
        call.plan.kernels().local_response_normalization_gradient(
            a, call.buffer(delta), call.buffer(x), call.buffer(x_delta),
            reinterpret_cast<float*>(call.scratch), call.share);
    });
}

}  // namespace convlet
