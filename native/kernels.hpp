// The kernels: what they are told, and the table through which the plan calls them.
//
// A *block* is some images stored with the image innermost, `[position][channel][lane]`; a position
// is a cell of the flattened grid. With one lane that is a single image in the usual order, and
// the roles swap: vectors then run over channels. Every kernel takes blocks of any number of lanes.
//
// kernels.cpp is compiled once for each instruction set and fills one `Kernels` each;
// `kernels_of` (processor.hpp) chooses at run time. Everything here is plain data.
#pragma once

#include <cstdint>

namespace convlet {

// --- who does which part of a kernel's work ---

struct Share {
    int part = 0, parts = 1;
};

// --- tap tables (taps.hpp makes them) ---

// Neighbouring taps that read neighbouring positions: `taps` of them from number `tap` on, reading
// from position `base + offset` on.
struct Run {
    int32_t tap, offset, taps;
};

// Outputs of one pattern at equal distances, as their windows are: number `place` on in `order`.
struct Line {
    int32_t place, length, output, output_step, base, base_step;
};

// For each output position, the positions it reads and the taps it reads them through: the runs
// `first_run[p] .. first_run[p + 1]` of its pattern p = pattern[output].
struct Gather {
    int64_t outputs, inputs, taps;
    const int32_t* pattern;
    const int32_t* base;
    const int32_t* first_run;
    const Run* runs;
    // the outputs sorted by pattern, and where each pattern's begin
    int64_t patterns;
    const int32_t* order;
    const int32_t* first_output;
    // the same, cut into lines
    const Line* lines;
    const int32_t* first_line;
};

// Taps that are met by the same outputs, and those outputs with the position where the window's
// offsets count from.
struct TapSet {
    int64_t outputs, runs;
    const int32_t* output;
    const int32_t* base;
    const Run* run;
};

// --- tiles ---

#define CONVLET_INLINE inline __attribute__((always_inline))

// How `count` things are cut into tiles of at most `largest`, as equal as can be.
struct Tiles {
    int64_t count, tiles;
    // always inlined: the instruction sets' object files may share no function
    CONVLET_INLINE Tiles(int64_t count, int64_t largest)
        : count(count), tiles((count + largest - 1) / largest) {}
    CONVLET_INLINE int64_t first(int64_t tile) const {
        const int64_t size = count / tiles, rest = count % tiles;
        return tile * size + (tile < rest ? tile : rest);
    }
    CONVLET_INLINE int64_t size(int64_t tile) const { return first(tile + 1) - first(tile); }
};

#undef CONVLET_INLINE

// --- what kernels are told ---

enum class ActivationName : int32_t {
    linear, relu, relu6, leaky_relu, elu, selu, tanh, sigmoid, hard_sigmoid, softplus, softsign,
    exponential, silu, gelu, mish,
    rectifier
};
// An activation function, with what Keras's layers may choose: the slope of leaky_relu, the alpha
// of elu; the negative slope, the threshold and the largest value of rectifier.
struct Activation {
    ActivationName name = ActivationName::linear;
    float parameters[3] = {};
};

// y[o][r] = bias[r] + sum over taps and channels of weight * x, and what is fused with it.
struct Convolution {
    Gather table;
    int64_t lanes;
    int64_t groups, channels, rows;  // channels read and rows written by one group
    const float* weights;            // packed
    const float* bias;               // or null
    const float* residual;           // what is added, laid out as y, or null
    const Gather* pool;              // max pooling of what the convolution makes, or null
    uint8_t* winner;                 // its winning taps
    Activation activation;
};

// gradient[tap][c][r] += sum over outputs and images of x * delta.
struct KernelGradient {
    const TapSet* sets;
    int64_t set_count;
    Gather table;
    int64_t lanes;
    int64_t groups, channels, rows;
    int64_t outputs;    // positions of delta
    // Over the whole batch: how many images, the distance in floats between blocks of x, and
    // between images of delta, which then is [image][position][row]. Otherwise images is 1.
    int64_t images, x_step, delta_step;
    bool by_rows;  // with one lane, or over the whole batch
    bool in_rows;  // sets are cut in rows, and several may add to the same tap
    int64_t set_step;  // floats of the gradient that belong to each output alone, or 0
    // delta may be that of a max pooling behind the convolution, spread out band by band
    const Gather* unpool;
    const uint8_t* winner;
    float* band;
    int64_t band_outputs;  // outputs that are taken at a time, spread out or not
};

// The gradients of a convolution of one group behind a max pooling; see kernels/winners.hpp.
struct Winners {
    int64_t lanes, channels, rows;
    int64_t positions, padded;   // of the input; floats of a padded image
    const int32_t* place;        // where each position's first channel is in a padded image
    int64_t lines, line;         // of the kernel, and floats of each
    int64_t line_step;           // the same in whole registers
    const int32_t* line_offset;  // where they begin, from where a window does
    int64_t windows, window_taps;
    const int32_t* start;     // [window][tap]: where what its winner read begins
    const uint8_t* winner;    // [window][row][lane]
    int64_t windows_at_once;  // whose meetings are sorted at a time
};
struct Meeting {
    int64_t place;
    float delta;
};

// A locally connected layer; `weights` are [output][tap][channel][row].
struct Local {
    Gather table;
    int64_t lanes, channels, rows;
    const float* weights;
};

// --- convolution in transformed tiles; see kernels/fourier.hpp and kernels/winograd.hpp ---

// Vectors of a tile's buffer at most: 1024 points, rows being one longer, so that neither they nor
// columns fall into a few sets of the cache.
constexpr int64_t TILE_BUFFER = 1280;

// A row of points along one axis of a tile's buffer: where its real and imaginary parts begin; the
// second is -1 for a row of reals.
struct TileLine {
    int32_t real, imaginary;
};
struct TileAxis {
    int64_t points, step;  // how many, and their distance
    int64_t taps;          // of the kernel
    int64_t later;         // points of the axes behind it
    const TileLine* lines;
    int64_t count;
};
// Three axes; the first of them have one point where there are fewer.
struct TileGrid {
    TileAxis axes[3];
    int64_t points, slots;
    bool is_fourier;
};
// What a tile holds: x, or a gradient that is read as one; a kernel; outputs' gradients, for the
// kernel's.
enum class TileRole { data, kernel, delta };
// What tiles hold of a grid: point j of an axis, j < count, of one that begins at position p is
// position p + j * step, if that is one of `size`.
struct TileView {
    int64_t step[3], size[3], count[3];
};
struct TilePlace {
    int64_t position[3];
};
// Some tiles' places: first[0], first[step] ..
struct TilePlaces {
    const TilePlace* first;
    int64_t count, step;
};
// Products of matrices, one in each slot. Distances are in floats.
struct SlotProduct {
    int64_t slots, tiles, lanes, channels, rows;
    int64_t weight_step, weight_slot;  // from channel to channel, from slot to slot
    int64_t x_step, x_slot;            // from tile to tile
    int64_t y_step, y_slot;            // or of delta, where each lane is a step
};

struct Pooling {
    Gather table;
    int64_t lanes, channels;
    void* winner;
    int winner_bytes;
    const float* counts;  // average: how many positions each window holds
    float sharpness;      // log-sum-exp
    const Gather* apart;  // gradients: the windows themselves, if no input is in two of them
};

// Random draws for the outputs of a pooling: the run's seed and step, and whose they are.
struct Draws {
    int64_t first_image;
    uint64_t seed, step;
    uint32_t layer;
};

// Runs of numbers that are moved together: run r is written from number first[r] up to
// first[r + 1] and is the sum of those that begin at numbers source[first_source[r]] up to
// source[first_source[r + 1]], or `fill` if there are none.
struct Moves {
    int64_t runs;
    const int32_t* first;
    const int32_t* first_source;
    const int32_t* source;
    int64_t lanes;
    float fill;
};

enum class Loss : int32_t {
    squared_error, binary_crossentropy, categorical_crossentropy, sparse_categorical_crossentropy
};

struct LossArguments {
    Loss loss;
    bool from_logits;
    float label_smoothing;
    int64_t lanes, positions, channels;
    int64_t images;          // those of the block that are there
    const float* targets;    // [image][position][channel], or
    const int32_t* labels;   // [image][position]
    const float* weights;    // [image][position]
    float* values;           // [image][position]
};

// What is summed for each channel over the positions and images of a block.
struct ChannelSums {
    int64_t lanes, positions, channels;
    int64_t images;  // those of the block that are there
};

// Numbers of an image that are normalized together: of (outer, sets, inner), each set's.
struct Sets {
    int64_t lanes, outer, sets, inner;
    float epsilon;
};

// Channels that are normalized by those at most `radius` away.
struct Neighbours {
    int64_t lanes, positions, channels, radius;
    float bias, alpha, beta;
};

struct Dropout {
    int64_t lanes, units;
    int64_t first_image;
    uint64_t seed, step;
    uint32_t layer;
    double rate;
};

// --- optimizers; see kernels/rules.hpp ---

enum class Rule : int32_t { descent, adam, adamax, nadam, rmsprop, adagrad, adadelta, lion };

// What a step is for all weights.
struct Step {
    Rule rule;
    float numbers[6];        // what the rule wants to know
    float largest_gradient;  // beyond which, up or down, one is cut off; 0 for no limit
    float average_momentum;  // of the weights' moving averages
    bool takes_average;      // whether weights become their averages
};

constexpr int MOST_SLOTS = 3;

// One weight, and what becomes of it.
struct WeightArrays {
    int64_t count;
    const float* value;
    const float* gradient;
    float* new_value;
    int slot_count;
    const float* slots[MOST_SLOTS];
    float* new_slots[MOST_SLOTS];
    const float* average;  // the moving average, or null
    float* new_average;
    float decay;           // share of the weight that goes, for weight decay
    float gradient_scale;  // what clipping by a norm leaves of the gradient, as a factor
};

// The signature of each kernel; `Share` last where several threads may do parts of it.
struct Kernels {
    const char* instruction_set;
    int64_t width;  // floats in a register

    int64_t (*rows_per_tile)(int64_t lanes, int64_t outputs);

    void (*load_images)(const float* images, int64_t count, int64_t size, int64_t lanes,
                        float* block, bool repeats, Share);
    void (*store_images)(const float* block, int64_t count, int64_t size, int64_t lanes,
                         float* images, Share);

    void (*convolution)(const Convolution&, const float* x, float* y, Share);
    void (*kernel_gradient)(const KernelGradient&, const float* x, const float* delta,
                            float* gradient, Share);
    void (*transform_tiles)(const TileGrid&, const TileView&, const TilePlaces&, TileRole,
                            const float* x, int64_t step, int64_t floats, float* slots,
                            int64_t tile_step, int64_t slot_step);
    void (*transform_tile_by_lanes)(const TileGrid&, const TileView&, const TilePlace&,
                                    const float* x, int64_t step, int64_t channels,
                                    int64_t lanes, float* slots, int64_t slot_step,
                                    int64_t lane_step, float* scratch);
    void (*write_tiles)(const TileGrid&, const TileView&, const TilePlaces&, const float* slots,
                        int64_t tile_step, int64_t slot_step, int64_t floats, int64_t lanes,
                        const float* bias, const float* residual, const Activation&, float* y,
                        int64_t step);
    void (*add_tile)(const TileGrid&, const TileView&, const TilePlace&, const float* slots,
                     int64_t slot_step, int64_t floats, float scale, float* gradient,
                     int64_t step);
    void (*slot_product)(const SlotProduct&, const float* weights, const float* x, float* y);
    void (*slot_outer)(const SlotProduct&, const float* x, const float* delta, float* gradient);

    void (*bias_gradient)(const float* delta, int64_t positions, int64_t channels, int64_t lanes,
                          float* gradient, Share);

    void (*block_to_padded)(const Winners&, const float* block, float* images, Share);
    void (*padded_to_block)(const Winners&, const float* images, float* block, Share);
    void (*winner_kernel_gradient)(const Winners&, const float* images, const float* delta,
                                   float* gradient, Share);
    void (*winner_input_gradient)(const Winners&, const float* weights, const float* delta,
                                  float* images, Meeting* meetings, int64_t* ends, Share);

    void (*local_convolution)(const Local&, const float* x, float* y, Share);
    void (*local_input_gradient)(const Local&, const float* delta, float* x_delta, Share);

    void (*max_pool)(const Pooling&, const float* x, float* y, Share);
    void (*max_pool_gradient)(const Pooling&, const float* delta, float* x_delta, Share);
    void (*average_pool)(const Pooling&, const float* x, float* y, Share);
    void (*average_pool_gradient)(const Pooling&, const float* delta, float* x_delta, Share);

    void (*l2_pool)(const Pooling&, const float* x, float* y, Share);
    void (*l2_pool_gradient)(const Pooling&, const float* delta, const float* x, const float* y,
                             float* x_delta, Share);
    void (*log_sum_exp_pool)(const Pooling&, const float* x, float* y, Share);
    void (*log_sum_exp_pool_gradient)(const Pooling&, const float* delta, const float* x,
                                      const float* y, float* x_delta, Share);
    void (*stochastic_pool)(const Pooling&, const Draws&, const float* x, float* y, Share);
    void (*stochastic_pool_mean)(const Pooling&, const float* x, float* y, float* total, Share);
    void (*stochastic_pool_mean_gradient)(const Pooling&, const float* delta, const float* x,
                                          const float* y, const float* total, float* x_delta,
                                          Share);

    void (*activation)(const Activation&, const float* x, float* y, int64_t count, Share);
    void (*activation_gradient)(const Activation&, const float* delta, const float* known, float* x_delta,
                                int64_t count, Share);
    void (*softmax)(const float* x, float* y, int64_t positions, int64_t channels, int64_t lanes,
                    bool logarithm, Share);
    void (*softmax_gradient)(const float* delta, const float* y, float* x_delta, int64_t positions,
                             int64_t channels, int64_t lanes, bool logarithm, Share);
    void (*loss)(const LossArguments&, const float* prediction, float* delta, Share);

    void (*add_bias)(const float* x, const float* bias, float* y, int64_t positions,
                     int64_t channels, int64_t lanes, Share);
    void (*add)(const float* x, const float* y, float* z, int64_t count, Share);
    void (*multiply)(const float* x, const float* y, float* z, int64_t count, Share);
    void (*extremum)(const float* x, const float* y, float* z, int64_t count, float sign, Share);
    void (*extremum_gradient)(const float* delta, const float* x, const float* y, float* x_delta,
                              float* y_delta, int64_t count, float sign, Share);
    void (*copy_runs)(const float* x, int64_t x_step, float* y, int64_t y_step, int64_t count,
                      int64_t length, Share);
    void (*take)(const Moves&, const float* x, float* y, Share);
    void (*rescale)(const float* x, const float* scale, const float* offset, float* y,
                    int64_t positions, int64_t channels, int64_t lanes, Share);
    // y = f(scale x + offset + residual), where the coefficients are scale and offset of all
    // channels
    void (*normalize)(const Activation&, const float* x, const float* coefficients,
                      const float* residual, float* y, int64_t positions, int64_t channels,
                      int64_t lanes, Share);
    void (*scale)(const float* x, const float* gamma, float* y, int64_t positions,
                  int64_t channels, int64_t lanes, Share);
    void (*scale_gradient)(const float* x, const float* delta, int64_t positions,
                           int64_t channels, int64_t lanes, float* gradient, Share);
    void (*block_moments)(const ChannelSums&, const float* x, float* mean, float* squares, Share);
    void (*block_gradient_sums)(const ChannelSums&, const float* delta, const float* x,
                                const float* mean, float* sum, float* product, Share);
    void (*combine)(const ChannelSums&, const float* delta, const float* x,
                    const float* coefficients, float* x_delta, Share);
    void (*standardize)(const Sets&, const float* x, float* y, Share);
    void (*standardize_gradient)(const Sets&, const float* delta, const float* x, float* x_delta,
                                 Share);
    void (*local_response_normalization)(const Neighbours&, const float* x, float* y, float* rows,
                                         Share);
    void (*local_response_normalization_gradient)(const Neighbours&, const float* delta,
                                                  const float* x, float* x_delta, float* rows,
                                                  Share);
    void (*dropout)(const Dropout&, const float* x, float* y, Share);
    void (*spatial_dropout)(const Dropout&, int64_t positions, const float* x, float* y,
                            float* scratch, Share);
    void (*gaussian_noise)(const Dropout&, const float* x, float* y, float* scratch, Share);

    void (*add_up)(float* const* shards, int64_t count, int64_t shard_count, float* total, Share);
    // returns whether all that was written is finite
    bool (*optimizer_step)(const Step&, const WeightArrays&, int64_t first, int64_t count);
    double (*sum_of_squares)(const float* x, int64_t count);
};

}  // namespace convlet
