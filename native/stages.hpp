// The stages that plans are made of: one function for each, which appends it to a plan.
//
// Numbers called `slot` name arrays of the caller's, those called `x`, `y`, `delta` buffers, and
// those called `gradient` sums of gradients of the plan; -1 stands for none.
#pragma once

#include <memory>
#include <string>

#include "moves.hpp"
#include "plan.hpp"
#include "taps.hpp"

namespace convlet {

// Sizes of a kernel: channels that are read and rows that are made, by one group.
struct KernelShape {
    int64_t taps, groups, channels, rows;

    bool is_depthwise() const { return groups > 1 && channels == 1 && rows == 1; }
    // Whether taps that read neighbouring positions read neighbouring weights, too.
    bool merges() const { return groups == 1 || is_depthwise(); }
};

// images <-> blocks; `size` floats an image. Lanes without an image are zero, as gradients must be,
// or repeat the last image.
void load_images(Plan&, std::string name, int slot, int x, int64_t size, bool repeats);
void store_images(Plan&, std::string name, int x, int slot, int64_t size);

// Lays out a kernel for `convolution` and returns the memory that holds it.
int pack_kernel(Plan&, std::string name, int slot, const TapTable&, const KernelShape&,
                bool transposed);

// y = convolution of x (transposed: the input gradient, x being the delta), then bias, a sum or max
// pooling, and activation where they are asked for.
struct FusedWithConvolution {
    int bias_slot = -1;
    int residual = -1;  // a buffer that is added
    const TapTable* pool = nullptr;
    int winner = -1;
    Activation activation;
};
void convolution(Plan&, std::string name, const TapTable&, const KernelShape&, bool transposed,
                 int weights, int x, int y, const FusedWithConvolution&);

// `local`: each output has weights of its own. With `unpool`, delta is that of the max pooling
// behind the convolution.
void kernel_gradient(Plan&, std::string name, const TapTable&, const KernelShape&, int x,
                     int delta, int gradient, bool whole_batch, bool local, const TapTable* unpool,
                     int winner);
// Locally connected layers; the kernel is read from its slot, and its gradient sums over the batch.
void local_convolution(Plan&, std::string name, const TapTable&, const KernelShape&, int kernel_slot,
                       int x, int y);
void local_input_gradient(Plan&, std::string name, const TapTable&, const KernelShape&,
                          int kernel_slot, int delta, int x_delta);
void bias_gradient(Plan&, std::string name, int delta, int gradient, int64_t positions,
                   int64_t channels);

void max_pool(Plan&, std::string name, const TapTable&, int64_t channels, int x, int y, int winner,
              int winner_bytes);
void max_pool_gradient(Plan&, std::string name, const TapTable&, int64_t channels, int delta,
                       int winner, int winner_bytes, int x_delta);
void average_pool(Plan&, std::string name, const TapTable&, int64_t channels, int x, int y);
void average_pool_gradient(Plan&, std::string name, const TapTable&, int64_t channels, int delta,
                           int x_delta);

void sum_pool(Plan&, std::string name, const TapTable&, int64_t channels, int x, int y);
void sum_pool_gradient(Plan&, std::string name, const TapTable&, int64_t channels, int delta,
                       int x_delta);
void l2_pool(Plan&, std::string name, const TapTable&, int64_t channels, int x, int y);
void l2_pool_gradient(Plan&, std::string name, const TapTable&, int64_t channels, int delta, int x,
                      int y, int x_delta);
void log_sum_exp_pool(Plan&, std::string name, const TapTable&, int64_t channels, int x, int y,
                      float sharpness);
void log_sum_exp_pool_gradient(Plan&, std::string name, const TapTable&, int64_t channels,
                               int delta, int x, int y, int x_delta, float sharpness);
// `random_slot` as for dropout; the gradient is that of max pooling, by the winners.
void stochastic_pool(Plan&, std::string name, const TapTable&, int64_t channels, int x,
                     int random_slot, int y, int winner, int winner_bytes, uint32_t layer);
void stochastic_pool_mean(Plan&, std::string name, const TapTable&, int64_t channels, int x, int y,
                          int total);
void stochastic_pool_mean_gradient(Plan&, std::string name, const TapTable&, int64_t channels,
                                   int delta, int x, int y, int total, int x_delta);

void activation(Plan&, std::string name, const Activation&, int x, int y, int64_t size);
void activation_gradient(Plan&, std::string name, const Activation&, int delta, int known, int x_delta,
                         int64_t size);
void softmax(Plan&, std::string name, bool logarithm, int x, int y, int64_t positions,
             int64_t channels);
void softmax_gradient(Plan&, std::string name, bool logarithm, int delta, int y, int x_delta,
                      int64_t positions, int64_t channels);

struct LossKind {
    Loss loss;
    bool from_logits;
    float label_smoothing;
};
// Targets are int32 labels for the sparse loss, floats for the others; `delta` may be -1.
void loss(Plan&, std::string name, const LossKind&, int prediction, int targets_slot,
          int weights_slot, int values_slot, int delta, int64_t positions, int64_t channels);

void add_bias(Plan&, std::string name, int x, int bias_slot, int y, int64_t positions,
              int64_t channels);
void add(Plan&, std::string name, int x, int y, int z, int64_t size);
void multiply(Plan&, std::string name, int x, int y, int z, int64_t size);
// The larger of two numbers if `sign` is 1, the smaller one if it is -1.
void extremum(Plan&, std::string name, float sign, int x, int y, int z, int64_t size);
void extremum_gradient(Plan&, std::string name, float sign, int delta, int x, int y, int x_delta,
                       int y_delta, int64_t size);
// `count` runs of `length` numbers: from x_begin on, one every x_step, to places y_step apart.
void copy_runs(Plan&, std::string name, int x, int64_t x_begin, int64_t x_step, int y,
               int64_t y_begin, int64_t y_step, int64_t count, int64_t length);
void take(Plan&, std::string name, std::shared_ptr<MoveTable>, float fill, int x, int y);
void rescale(Plan&, std::string name, int x, int y, std::vector<float> scale,
             std::vector<float> offset, int64_t positions);
void scale(Plan&, std::string name, int x, int gamma_slot, int y, int64_t positions,
           int64_t channels);
void scale_gradient(Plan&, std::string name, int x, int delta, int gradient, int64_t positions,
                    int64_t channels);
// `random_slot` holds the seed and the step, two 64-bit words.
void dropout(Plan&, std::string name, int x, int y, int random_slot, int64_t units, double rate,
             uint32_t layer);
void spatial_dropout(Plan&, std::string name, int x, int y, int random_slot, int64_t positions,
                     int64_t channels, double rate, uint32_t layer);
void gaussian_noise(Plan&, std::string name, int x, int y, int random_slot, int64_t units,
                    double stddev, uint32_t layer);

// Normalization (normalization.cpp). Sums over a block's images go to memory of the plan's own; the
// stages that read those of all blocks are done together. `mean_slot` and so on hold one number for
// each channel.
int block_moments(Plan&, std::string name, int x, int64_t positions, int64_t channels);
void channel_moments(Plan&, std::string name, int moments, int mean_slot, int variance_slot,
                     int64_t positions, int64_t channels);
int block_gradient_sums(Plan&, std::string name, int delta, int x, int mean_slot,
                        int64_t positions, int64_t channels);
void normalization_sums(Plan&, std::string name, int sums, int variance_slot, int gamma_gradient_slot,
                        int beta_gradient_slot, double epsilon, int64_t channels);
// Returns the memory of what x is multiplied by and what is added then; without a mean and a beta
// (-1) nothing is added.
int normalization_coefficients(Plan&, std::string name, int mean_slot, int variance_slot,
                               int gamma_slot, int beta_slot, double epsilon, int64_t channels);
// The residual, -1 for none, is a buffer that is added before the activation.
void normalize(Plan&, std::string name, int coefficients, int x, int y, int64_t positions,
               int64_t channels, int residual, const Activation&);
// Returns the memory of f, g and h for which the gradient by x is f (delta + g x + h).
int batch_normalize_gradient_coefficients(Plan&, std::string name, int mean_slot,
                                          int variance_slot, int gamma_slot,
                                          int gamma_gradient_slot, int beta_gradient_slot,
                                          double epsilon, int64_t positions, int64_t channels);
void batch_normalize_gradient(Plan&, std::string name, int coefficients, int delta, int x,
                              int x_delta, int64_t positions, int64_t channels);

// Within one image: sets of its (outer, sets, inner) numbers, and neighbouring channels.
struct SetShape {
    int64_t outer, sets, inner;
};
void standardize(Plan&, std::string name, const SetShape&, float epsilon, int x, int y);
void standardize_gradient(Plan&, std::string name, const SetShape&, float epsilon, int delta, int x,
                          int x_delta);
struct ResponseNormalization {
    int64_t radius;
    float bias, alpha, beta;
};
void local_response_normalization(Plan&, std::string name, const ResponseNormalization&, int x,
                                  int y, int64_t positions, int64_t channels);
void local_response_normalization_gradient(Plan&, std::string name, const ResponseNormalization&,
                                           int delta, int x, int x_delta, int64_t positions,
                                           int64_t channels);

// For gradients: clear the result before stages that are done together add to it; add up shards.
void clear(Plan&, std::string name, int slot, int64_t size);
void add_up(Plan&, std::string name, int gradient);

}  // namespace convlet
