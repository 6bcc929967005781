// The stages of stages.hpp: each fetches its buffers and calls its kernel.
#include "stages.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "packing.hpp"

namespace convlet {

double operations_of(const Plan& plan, const TapTable& table, const KernelShape& shape) {
    const int64_t meetings = table.gather(false, shape.merges())->meetings();
    return 2.0 * meetings * shape.groups * shape.channels * shape.rows * plan.images();
}

void pack_tile(const KernelShape& shape, bool transposed, const float* kernel, int64_t group,
               int64_t first, int64_t there, int64_t wide, float* packed) {
    const int64_t row_length = shape.groups * shape.rows;
    const int64_t inner = transposed ? shape.rows : shape.channels;
    const int64_t row_step = transposed ? row_length : 1, inner_step = transposed ? 1 : row_length;
    for (int64_t t = 0; t < shape.taps; ++t) {
        const int64_t tap = transposed ? shape.taps - 1 - t : t;
        const float* start = kernel + tap * shape.channels * row_length + group * shape.rows;
        start += first * row_step;
        for (int64_t j = 0; j < inner; ++j, start += inner_step, packed += wide) {
            for (int64_t row = 0; row < there; ++row) packed[row] = start[row * row_step];
            for (int64_t row = there; row < wide; ++row) packed[row] = 0;
        }
    }
}

namespace {

using Table = std::shared_ptr<const GatherTable>;

constexpr int64_t EXPONENTIAL = 8;         // multiply-adds that softmax takes for a number
constexpr int64_t KERNEL_BAND_BYTES = 768 << 10;
constexpr int64_t FEWEST_OUTPUTS = 128;         // of a band, since a tile's sums must be added up
// Of a group: a tap alone then leaves tiles of a kernel's gradient small. In rows, 3 channels to 32
// of 32 x 32 took 0.63 ms for 64 images, not 0.81.
constexpr int64_t FEW_CHANNELS = 8;
constexpr int64_t BAND_BYTES = 128 << 10;  // of delta spread out at a time: a part of the L2 cache

// For kernels/depthwise.hpp: [tap][channel], as it is, or with the taps backwards.
void pack_depthwise(const KernelShape& shape, bool transposed, const float* kernel, float* packed) {
    for (int64_t t = 0; t < shape.taps; ++t) {
        const int64_t tap = transposed ? shape.taps - 1 - t : t;
        std::memcpy(packed + t * shape.groups, kernel + tap * shape.groups, 4 * shape.groups);
    }
}

// How many outputs' share of x and delta stays in the L2 cache while all tiles go over it.
int64_t band_of(const Gather& table, const KernelGradient& a) {
    const int64_t of_x = a.groups * a.channels * a.lanes * table.inputs / table.outputs;
    const int64_t outputs = KERNEL_BAND_BYTES / (4 * (of_x + a.groups * a.rows * a.lanes));
    return std::min(a.outputs, std::max(FEWEST_OUTPUTS, outputs));
}

struct Layout {
    int64_t lanes, unit;  // rows are cut in units: one row, or a register for one lane
    Tiles tiles;
    int64_t rows, length;

    Layout(const Kernels& kernels, int64_t lanes, int64_t outputs, int64_t rows, int64_t length)
        : lanes(lanes),
          unit(lanes == 1 ? kernels.width : 1),
          tiles((rows + unit - 1) / unit, kernels.rows_per_tile(lanes, outputs) / unit),
          rows(rows),
          length(length) {}
    int64_t padded_rows() const { return tiles.count * unit; }
};

}  // namespace

void load_images(Plan& plan, std::string name, int slot, int x, int64_t size, bool repeats) {
    plan.add(std::move(name), {0, size * plan.lanes()}, [=](const Call& call) {
        const float* images = call.slot(slot) + call.first_image() * size;
        call.plan.kernels().load_images(images, call.images(), size, call.plan.lanes(),
                                        call.buffer(x), repeats, call.share);
    });
}

void store_images(Plan& plan, std::string name, int x, int slot, int64_t size) {
    plan.add(std::move(name), {0, size * plan.lanes()}, [=](const Call& call) {
        float* images = call.slot(slot) + call.first_image() * size;
        call.plan.kernels().store_images(call.buffer(x), call.images(), size, call.plan.lanes(),
                                         images, call.share);
    });
}

int pack_kernel(Plan& plan, std::string name, int slot, const TapTable& table,
                const KernelShape& shape, bool transposed) {
    const int64_t outputs = table.gather(transposed, shape.merges())->view().outputs;
    const int64_t rows = transposed ? shape.channels : shape.rows;
    const int64_t length = shape.taps * (transposed ? shape.rows : shape.channels);
    const Layout layout(plan.kernels(), plan.lanes(), outputs, rows, length);
    const int memory = plan.add_memory(shape.groups * layout.padded_rows() * length);
    plan.add(std::move(name), 0, [=](const Call& call) {
        const float* kernel = call.slot(slot);
        if (shape.is_depthwise()) {
            if (call.share.part == 0)
                pack_depthwise(shape, transposed, kernel, call.plan.memory(memory));
            return;
        }
        const int64_t units = shape.groups * layout.tiles.tiles;
        for (int64_t u = call.share.part; u < units; u += call.share.parts) {
            const int64_t group = u / layout.tiles.tiles, tile = u % layout.tiles.tiles;
            const int64_t first = layout.tiles.first(tile) * layout.unit;
            const int64_t wide = layout.tiles.size(tile) * layout.unit;
            float* packed =
                call.plan.memory(memory) + (group * layout.padded_rows() + first) * length;
            pack_tile(shape, transposed, kernel, group, first, std::min(wide, rows - first), wide,
                      packed);
        }
    });
    return memory;
}

void convolution(Plan& plan, std::string name, const TapTable& taps, const KernelShape& shape,
                 bool transposed, int weights, int x, int y, const FusedWithConvolution& fused) {
    const Table table = taps.gather(transposed, shape.merges());
    const Table pool = fused.pool ? fused.pool->gather(false, true) : nullptr;
    Convolution a{};
    a.lanes = plan.lanes();
    a.groups = shape.groups;
    a.channels = transposed ? shape.rows : shape.channels;
    a.rows = transposed ? shape.channels : shape.rows;
    a.activation = fused.activation;
    const FusedWithConvolution with = fused;
    const double operations = operations_of(plan, taps, shape);
    const auto of_block = static_cast<int64_t>(operations / 2 / plan.images() * plan.lanes());
    plan.add(std::move(name), {operations, of_block}, [=](const Call& call) {
        Convolution conv = a;
        conv.table = table->view();
        const Gather window = pool ? pool->view() : Gather{};
        conv.pool = pool ? &window : nullptr;
        conv.weights = call.plan.memory(weights);
        conv.bias = call.slot(with.bias_slot);
        conv.residual = call.buffer(with.residual);
        conv.winner = pool ? call.buffer<uint8_t>(with.winner) : nullptr;
        call.plan.kernels().convolution(conv, call.buffer(x), call.buffer(y), call.share);
    });
}

void kernel_gradient(Plan& plan, std::string name, const TapTable& taps, const KernelShape& shape,
                     int x, int delta, int gradient, bool whole_batch, bool local,
                     const TapTable* unpool, int winner) {
    const bool by_rows = whole_batch || plan.lanes() == 1;
    const bool in_rows = !local && !by_rows && shape.channels <= FEW_CHANNELS;
    const auto sets = local ? taps.sets_of_outputs()
                            : taps.sets(in_rows || shape.groups == 1, in_rows);
    const Table spread = unpool ? unpool->gather(true, false) : nullptr;
    const Table outputs = taps.gather(false, shape.merges());
    const Gather table = outputs->view();
    const int64_t row = shape.groups * shape.rows * plan.lanes();
    KernelGradient a{};
    a.lanes = plan.lanes();
    a.groups = shape.groups;
    a.channels = shape.channels;
    a.rows = shape.rows;
    a.outputs = table.outputs;
    a.images = whole_batch ? plan.images() : 1;
    a.by_rows = by_rows;
    a.in_rows = in_rows;
    a.x_step = plan.step(x) / 4;
    a.set_step = local ? shape.taps * shape.channels * shape.rows : 0;
    a.delta_step = table.outputs * shape.groups * shape.rows;
    a.band_outputs = std::max<int64_t>(1, std::min(a.outputs, BAND_BYTES / (4 * row)));
    if (!unpool && !a.by_rows) a.band_outputs = band_of(table, a);
    if (unpool) plan.need_scratch(4 * row * a.band_outputs);
    int images = -1;
    if (whole_batch) {
        images = plan.add_memory(a.delta_step * plan.images());
        plan.add(name + ": delta to images", 0, [=](const Call& call) {
            float* rows = call.plan.memory(images);
            for (int64_t block = call.share.part; block < call.plan.blocks();
                 block += call.share.parts) {
                Call of = call;
                of.block = block;
                of.share = {};
                call.plan.kernels().store_images(of.buffer(delta), of.images(), a.delta_step,
                                                 call.plan.lanes(),
                                                 rows + of.first_image() * a.delta_step, {});
            }
        });
    }
    plan.add(std::move(name), operations_of(plan, taps, shape), [=](const Call& call) {
        KernelGradient k = a;
        const auto views = sets->view();
        const Gather window = spread ? spread->view() : Gather{};
        k.sets = views.data();
        k.set_count = static_cast<int64_t>(views.size());
        k.table = outputs->view();
        k.unpool = spread ? &window : nullptr;
        k.winner = spread ? call.buffer<uint8_t>(winner) : nullptr;
        k.band = reinterpret_cast<float*>(call.scratch);
        const float* deltas = images < 0 ? call.buffer(delta) : call.plan.memory(images);
        call.plan.kernels().kernel_gradient(k, call.buffer(x), deltas,
                                            call.plan.gradient(gradient, call), call.share);
    });
    if (whole_batch) plan.release_memory(images);
}

namespace {

Local local_of(const Call& call, const Table& table, const KernelShape& shape, int kernel_slot) {
    return {table->view(), call.plan.lanes(), shape.channels, shape.rows, call.slot(kernel_slot)};
}

}  // namespace

void local_convolution(Plan& plan, std::string name, const TapTable& taps, const KernelShape& shape,
                       int kernel_slot, int x, int y) {
    const Table table = taps.gather(false, true);
    plan.add(std::move(name), operations_of(plan, taps, shape), [=](const Call& call) {
        call.plan.kernels().local_convolution(local_of(call, table, shape, kernel_slot),
                                              call.buffer(x), call.buffer(y), call.share);
    });
}

void local_input_gradient(Plan& plan, std::string name, const TapTable& taps,
                          const KernelShape& shape, int kernel_slot, int delta, int x_delta) {
    const Table table = taps.gather(true, true);
    plan.add(std::move(name), operations_of(plan, taps, shape), [=](const Call& call) {
        call.plan.kernels().local_input_gradient(local_of(call, table, shape, kernel_slot),
                                                 call.buffer(delta), call.buffer(x_delta),
                                                 call.share);
    });
}

void bias_gradient(Plan& plan, std::string name, int delta, int gradient, int64_t positions,
                   int64_t channels) {
    const double operations = 1.0 * positions * channels * plan.images();
    plan.add(std::move(name), operations, [=](const Call& call) {
        call.plan.kernels().bias_gradient(call.buffer(delta), positions, channels,
                                          call.plan.lanes(), call.plan.gradient(gradient, call),
                                          call.share);
    });
}

void activation(Plan& plan, std::string name, const Activation& function, int x, int y,
                int64_t size) {
    plan.add(std::move(name), 0, [=](const Call& call) {
        call.plan.kernels().activation(function, call.buffer(x), call.buffer(y),
                                       size * call.plan.lanes(), call.share);
    });
}

void activation_gradient(Plan& plan, std::string name, const Activation& function, int delta,
                         int known, int x_delta, int64_t size) {
    plan.add(std::move(name), 0, [=](const Call& call) {
        call.plan.kernels().activation_gradient(function, call.buffer(delta), call.buffer(known),
                                                call.buffer(x_delta), size * call.plan.lanes(),
                                                call.share);
    });
}

void softmax(Plan& plan, std::string name, bool logarithm, int x, int y, int64_t positions,
             int64_t channels) {
    const int64_t work = EXPONENTIAL * positions * channels * plan.lanes();
    plan.add(std::move(name), {0, work}, [=](const Call& call) {
        call.plan.kernels().softmax(call.buffer(x), call.buffer(y), positions, channels,
                                    call.plan.lanes(), logarithm, call.share);
    });
}

void softmax_gradient(Plan& plan, std::string name, bool logarithm, int delta, int y, int x_delta,
                      int64_t positions, int64_t channels) {
    const int64_t work = EXPONENTIAL * positions * channels * plan.lanes();
    plan.add(std::move(name), {0, work}, [=](const Call& call) {
        call.plan.kernels().softmax_gradient(call.buffer(delta), call.buffer(y),
                                             call.buffer(x_delta), positions, channels,
                                             call.plan.lanes(), logarithm, call.share);
    });
}

void loss(Plan& plan, std::string name, const LossKind& kind, int prediction, int targets_slot,
          int weights_slot, int values_slot, int delta, int64_t positions, int64_t channels) {
    const bool sparse = kind.loss == Loss::sparse_categorical_crossentropy;
    plan.add(std::move(name), 0, [=](const Call& call) {
        const int64_t first = call.first_image() * positions;
        const LossArguments a = {
            kind.loss, kind.from_logits, kind.label_smoothing, call.plan.lanes(), positions,
            channels, call.images(),
            sparse ? nullptr : call.slot(targets_slot) + first * channels,
            sparse ? call.slot<int32_t>(targets_slot) + first : nullptr,
            call.slot(weights_slot) + first, call.slot(values_slot) + first};
        call.plan.kernels().loss(a, call.buffer(prediction),
                                 call.buffer(delta), call.share);
    });
}

void add_bias(Plan& plan, std::string name, int x, int bias_slot, int y, int64_t positions,
              int64_t channels) {
    plan.add(std::move(name), 0, [=](const Call& call) {
        call.plan.kernels().add_bias(call.buffer(x), call.slot(bias_slot), call.buffer(y),
                                     positions, channels, call.plan.lanes(), call.share);
    });
}

void add(Plan& plan, std::string name, int x, int y, int z, int64_t size) {
    plan.add(std::move(name), 0, [=](const Call& call) {
        call.plan.kernels().add(call.buffer(x), call.buffer(y), call.buffer(z),
                                size * call.plan.lanes(), call.share);
    });
}

void multiply(Plan& plan, std::string name, int x, int y, int z, int64_t size) {
    plan.add(std::move(name), 0, [=](const Call& call) {
        call.plan.kernels().multiply(call.buffer(x), call.buffer(y), call.buffer(z),
                                     size * call.plan.lanes(), call.share);
    });
}

void extremum(Plan& plan, std::string name, float sign, int x, int y, int z, int64_t size) {
    plan.add(std::move(name), 0, [=](const Call& call) {
        call.plan.kernels().extremum(call.buffer(x), call.buffer(y), call.buffer(z),
                                     size * call.plan.lanes(), sign, call.share);
    });
}

void extremum_gradient(Plan& plan, std::string name, float sign, int delta, int x, int y,
                       int x_delta, int y_delta, int64_t size) {
    plan.add(std::move(name), 0, [=](const Call& call) {
        call.plan.kernels().extremum_gradient(call.buffer(delta), call.buffer(x), call.buffer(y),
                                              call.buffer(x_delta), call.buffer(y_delta),
                                              size * call.plan.lanes(), sign, call.share);
    });
}

void copy_runs(Plan& plan, std::string name, int x, int64_t x_begin, int64_t x_step, int y,
               int64_t y_begin, int64_t y_step, int64_t count, int64_t length) {
    const int64_t lanes = plan.lanes();
    plan.add(std::move(name), {0, count * length * lanes}, [=](const Call& call) {
        call.plan.kernels().copy_runs(call.buffer(x) + x_begin * lanes, x_step * lanes,
                                      call.buffer(y) + y_begin * lanes, y_step * lanes, count,
                                      length * lanes, call.share);
    });
}

void take(Plan& plan, std::string name, std::shared_ptr<MoveTable> moves, float fill, int x,
          int y) {
    const int64_t work = moves->numbers() * plan.lanes();
    plan.add(std::move(name), {0, work}, [=](const Call& call) {
        const Moves a = moves->view(call.plan.lanes(), fill);
        call.plan.kernels().take(a, call.buffer(x), call.buffer(y), call.share);
    });
}

void rescale(Plan& plan, std::string name, int x, int y, std::vector<float> scale,
             std::vector<float> offset, int64_t positions) {
    plan.add(std::move(name), 0,
             [=, scale = std::move(scale), offset = std::move(offset)](const Call& call) {
                 call.plan.kernels().rescale(call.buffer(x), scale.data(), offset.data(),
                                             call.buffer(y), positions,
                                             static_cast<int64_t>(scale.size()),
                                             call.plan.lanes(), call.share);
             });
}

void scale(Plan& plan, std::string name, int x, int gamma_slot, int y, int64_t positions,
           int64_t channels) {
    plan.add(std::move(name), 0, [=](const Call& call) {
        call.plan.kernels().scale(call.buffer(x), call.slot(gamma_slot), call.buffer(y), positions,
                                  channels, call.plan.lanes(), call.share);
    });
}

void scale_gradient(Plan& plan, std::string name, int x, int delta, int gradient,
                    int64_t positions, int64_t channels) {
    const double operations = 2.0 * positions * channels * plan.images();
    plan.add(std::move(name), operations, [=](const Call& call) {
        call.plan.kernels().scale_gradient(call.buffer(x), call.buffer(delta), positions, channels,
                                           call.plan.lanes(), call.plan.gradient(gradient, call),
                                           call.share);
    });
}

void dropout(Plan& plan, std::string name, int x, int y, int random_slot, int64_t units, double rate,
             uint32_t layer) {
    plan.add(std::move(name), 0, [=](const Call& call) {
        const uint64_t* random = call.slot<uint64_t>(random_slot);
        const Dropout a = {call.plan.lanes(), units, call.first_image(), random[0], random[1],
                           layer, rate};
        call.plan.kernels().dropout(a, call.buffer(x), call.buffer(y), call.share);
    });
}

void spatial_dropout(Plan& plan, std::string name, int x, int y, int random_slot,
                     int64_t positions, int64_t channels, double rate, uint32_t layer) {
    plan.need_scratch(4 * 5 * plan.lanes());
    plan.add(std::move(name), 0, [=](const Call& call) {
        const uint64_t* random = call.slot<uint64_t>(random_slot);
        const Dropout a = {call.plan.lanes(), channels, call.first_image(), random[0], random[1],
                           layer, rate};
        call.plan.kernels().spatial_dropout(a, positions, call.buffer(x), call.buffer(y),
                                            reinterpret_cast<float*>(call.scratch), call.share);
    });
}

void gaussian_noise(Plan& plan, std::string name, int x, int y, int random_slot, int64_t units,
                    double stddev, uint32_t layer) {
    plan.need_scratch(4 * 6 * plan.lanes());
    plan.add(std::move(name), 0, [=](const Call& call) {
        const uint64_t* random = call.slot<uint64_t>(random_slot);
        const Dropout a = {call.plan.lanes(), units, call.first_image(), random[0], random[1],
                           layer, stddev};
        call.plan.kernels().gaussian_noise(a, call.buffer(x), call.buffer(y),
                                           reinterpret_cast<float*>(call.scratch), call.share);
    });
}

void clear(Plan& plan, std::string name, int slot, int64_t size) {
    plan.add(std::move(name), 0, [=](const Call& call) {
        const int64_t first = size * call.share.part / call.share.parts;
        const int64_t last = size * (call.share.part + 1) / call.share.parts;
        std::memset(call.slot(slot) + first, 0, 4 * (last - first));
    });
}

void add_up(Plan& plan, std::string name, int gradient) {
    plan.add(std::move(name), 0, [=](const Call& call) { call.plan.add_up(gradient, call); });
}

}  // namespace convlet
