// See fourier.hpp.
#include "fourier.hpp"

#include <algorithm>
#include <utility>

#include "packing.hpp"

namespace convlet {
namespace {

// Of a thread for the slots of some tiles at a time: weights are read once for each band, and the sums
// of a kernel gradient go back once for each.
constexpr int64_t BAND_BYTES = 3 << 20;
constexpr int64_t GRADIENT_BAND_BYTES = 6 << 20;
constexpr int64_t SUM_BYTES = 4 << 20;  // of those sums

int64_t rounded_up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }
int64_t divided_down(int64_t a, int64_t b) { return a / b - (a % b < 0); }

// From slot to slot: room for a whole vector from the last number on, in lines of the cache, and an odd
// number of them, so that slots do not all fall into the same few sets of it.
int64_t slot_step(int64_t floats) { return (rounded_up(floats + 15, 16) / 16 | 1) * 16; }

std::array<Axis, 3> three(const std::vector<Axis>& axes) {
    std::array<Axis, 3> all;
    all.fill({1, 1, 1, 1, 0, 1});
    std::copy(axes.begin(), axes.end(), all.end() - static_cast<int64_t>(axes.size()));
    return all;
}

int64_t taps_of_phase(const Axis& axis) { return (axis.taps + axis.stride - 1) / axis.stride; }

}  // namespace

FourierTiles::FourierTiles(const std::vector<Axis>& given, const std::vector<int64_t>& points,
                           bool transposed)
    : transposed_(transposed) {
    const std::array<Axis, 3> axes = three(given);
    Triple all = {1, 1, 1};
    std::copy(points.begin(), points.end(), all.end() - static_cast<int64_t>(points.size()));
    find_lines(all);
    cut(axes, all);
    for_grid({axes[0].stride, axes[1].stride, axes[2].stride},
             [&](const std::vector<int64_t>& phase) {
                 phases_.push_back({phase[0], phase[1], phase[2]});
             });
    for (int a = 0; a < 3; ++a) {
        const int64_t taps = taps_of_phase(axes[a]), stride = axes[a].stride;
        taps_.start[a] = 0;
        reversed_taps_.start[a] = axes[a].taps - 1 - stride * (taps - 1);
        taps_.step[a] = reversed_taps_.step[a] = stride;
        taps_.size[a] = reversed_taps_.size[a] = axes[a].taps;
        taps_.count[a] = reversed_taps_.count[a] = taps;
    }
}

// The lines of reals and of complex numbers that each axis meets, after those before it: of a line of
// reals the first and the middle frequency are real, of the others one of each conjugate pair is
// kept; of a line of complex numbers all are.
void FourierTiles::find_lines(const Triple& points) {
    std::vector<FourierLine> known = {{0, -1}};
    grid_.points = points[0] * points[1] * points[2];
    const int64_t row = points[2] + (grid_.points > points[2]);
    const Triple steps = {points[1] * row, row, 1};
    for (int a = 0; a < 3; ++a) {
        const auto n = static_cast<int32_t>(points[a]), step = static_cast<int32_t>(steps[a]);
        const int64_t rows = a == 0 ? points[1] : 1, columns = a < 2 ? points[2] : 1;
        std::vector<FourierLine> next;
        for (const FourierLine& line : known) {
            const bool is_real = line.imaginary < 0;
            for (int64_t later = 0; later < rows * columns; ++later) {
                const auto place = static_cast<int32_t>(later / columns * row + later % columns);
                lines_[a].push_back({line.real + place, is_real ? -1 : line.imaginary + place});
            }
            if (is_real) next.push_back(line);
            if (is_real && n > 1) next.push_back({line.real + n / 2 * step, -1});
            for (int32_t k = 1; is_real && 2 * k < n; ++k)
                next.push_back({line.real + k * step, line.real + (n / 2 + k) * step});
            for (int32_t k = 0; !is_real && k < n; ++k)
                next.push_back({line.real + k * step, line.imaginary + k * step});
        }
        known = std::move(next);
        grid_.axes[a] = {n, step, rows * columns, nullptr, static_cast<int64_t>(lines_[a].size())};
    }
    for (const FourierLine& line : known) grid_.slots += line.imaginary < 0 ? 1 : 3;
}

void FourierTiles::cut(const std::array<Axis, 3>& axes, const Triple& points) {
    std::vector<int64_t> classes, tiles;
    Triple inside, first;
    for (int a = 0; a < 3; ++a) {
        const Axis& axis = axes[a];
        const int64_t apart = axis.stride * axis.dilation;
        inside[a] = points[a] - taps_of_phase(axis) + 1;
        // backwards, what is written begins with the padding
        first[a] = transposed_ ? divided_down(axis.begin, apart) : 0;
        const int64_t end = transposed_ ? divided_down(axis.size - 1 + axis.begin, apart) + 1
                                        : (axis.outputs + axis.dilation - 1) / axis.dilation;
        classes.push_back(axis.dilation);
        tiles.push_back((std::max<int64_t>(end - first[a], 0) + inside[a] - 1) / inside[a]);
    }
    for_grid(classes, [&](const std::vector<int64_t>& which) {
        for_grid(tiles, [&](const std::vector<int64_t>& tile) {
            TileView of_x{}, of_y{};
            for (int a = 0; a < 3; ++a) {
                const Axis& axis = axes[a];
                const int64_t apart = axis.stride * axis.dilation;
                const int64_t start = first[a] + tile[a] * inside[a];
                const int64_t back = transposed_ ? taps_of_phase(axis) - 1 : 0;
                of_x.start[a] = apart * start + which[a] - axis.begin;
                of_y.start[a] = axis.dilation * (start - back) + which[a];
                of_x.step[a] = apart;
                of_y.step[a] = axis.dilation;
                of_x.size[a] = axis.size;
                of_y.size[a] = axis.outputs;
                of_x.count[a] = transposed_ ? inside[a] : points[a];
                of_y.count[a] = transposed_ ? points[a] : inside[a];
            }
            read_.push_back(transposed_ ? of_y : of_x);
            written_.push_back(transposed_ ? of_x : of_y);
        });
    });
}

FourierGrid FourierTiles::grid() const {
    FourierGrid grid = grid_;
    for (int a = 0; a < 3; ++a) grid.axes[a].lines = lines_[a].data();
    return grid;
}

TileView FourierTiles::shifted(TileView view, const Triple& phase) {
    for (int a = 0; a < 3; ++a) view.start[a] += phase[a];
    return view;
}

TileView FourierTiles::read(int64_t tile, int64_t phase) const {
    return transposed_ ? read_[tile] : shifted(read_[tile], phases_[phase]);
}

TileView FourierTiles::written(int64_t tile, int64_t phase) const {
    return transposed_ ? shifted(written_[tile], phases_[phase]) : written_[tile];
}

TileView FourierTiles::taps(int64_t phase, bool reversed) const {
    if (!reversed) return shifted(taps_, phases_[phase]);
    TileView view = reversed_taps_;
    for (int a = 0; a < 3; ++a) view.start[a] -= phases_[phase][a];
    return view;
}

namespace {

// A convolution of one group, or its way back, as products in slots.
struct Fourier {
    std::shared_ptr<const FourierTiles> tiles;
    FourierGrid grid;
    int64_t lanes, width;
    int64_t phases_read, phases_written;  // one of them is 1
    int64_t channels, rows;               // of one phase
    int64_t wide;                         // rows in whole registers

    Fourier(const Plan& plan, const TapTable& table, const std::vector<int64_t>& points,
            const KernelShape& shape, bool transposed)
        : tiles(std::make_shared<FourierTiles>(table.axes(), points, transposed)),
          grid(tiles->grid()),
          lanes(plan.lanes()),
          width(plan.kernels().width),
          phases_read(transposed ? 1 : tiles->phases()),
          phases_written(transposed ? tiles->phases() : 1),
          channels(transposed ? shape.rows : shape.channels),
          rows(transposed ? shape.channels : shape.rows),
          wide(rounded_up(rows, width)) {}
    int64_t all_channels() const { return phases_read * channels; }
    int64_t weights_of_phase() const { return grid.slots * slot_step(all_channels() * wide); }
    int64_t floats_of_tile() const { return grid.slots * (all_channels() + wide) * lanes; }
    // Tiles whose slots a thread keeps at a time.
    int64_t band(int64_t bytes) const {
        const int64_t most = bytes / (4 * floats_of_tile());
        return std::clamp<int64_t>(most, 1, std::max<int64_t>(tiles->tiles(), 1));
    }
};

// A thread's part of a block: some tiles, or, where there are fewer tiles than threads, some rows.
struct Part {
    int64_t first_tile, last_tile, first_row, last_row;

    Part(const Fourier& f, const Share& share) : first_row(0), last_row(f.rows) {
        const int64_t tiles = f.tiles->tiles(), vectors = f.wide / f.width;
        const bool by_tiles = tiles >= share.parts;
        first_tile = by_tiles ? tiles * share.part / share.parts : 0;
        last_tile = by_tiles ? tiles * (share.part + 1) / share.parts : tiles;
        if (!by_tiles) rows_only(f, share, vectors);
    }
    void rows_only(const Fourier& f, const Share& share, int64_t vectors) {
        first_row = std::min(f.rows, vectors * share.part / share.parts * f.width);
        last_row = std::min(f.rows, vectors * (share.part + 1) / share.parts * f.width);
    }
};

// What a step of a kernel gradient adds up.
struct Sums {
    int64_t first_row, last_row, tiles, at_once;  // rows, tiles, and channels at a time
    int64_t x_slot, delta_slot, sum_slot;
};

// gradient += the way back of the sums over tiles and images, some channels at a time.
void add_gradients(const Call& call, const Fourier& f, const Sums& s, const float* x_slots,
                   const float* delta_slots, float* sums, float* gradient) {
    const int64_t rows = s.last_row - s.first_row, step = f.channels * f.rows;
    FourierProduct a{};
    a.slots = f.grid.slots;
    a.tiles = s.tiles;
    a.lanes = f.lanes;
    a.rows = rows;
    a.weight_step = f.wide;
    a.weight_slot = s.sum_slot;
    a.x_step = f.all_channels() * f.lanes;
    a.x_slot = s.x_slot;
    a.y_step = f.wide;
    a.y_slot = s.delta_slot;
    const float scale = 1.0f / static_cast<float>(f.grid.points);
    for (int64_t first = 0; first < f.all_channels(); first += s.at_once) {
        a.channels = std::min(s.at_once, f.all_channels() - first);
        call.plan.kernels().fourier_outer(a, x_slots + first * f.lanes, delta_slots, sums);
        for (int64_t c = first; c < first + a.channels; ++c)
            call.plan.kernels().fourier_tile_added(
                f.grid, f.tiles->taps(c / f.channels, false), sums + (c - first) * f.wide,
                s.sum_slot, rows, scale, gradient + c % f.channels * f.rows + s.first_row, step);
    }
}

void transform_tiles(const Call& call, const Fourier& f, int64_t first, int64_t last,
                     const float* x, float* slots, int64_t step) {
    const int64_t floats = f.channels * f.lanes;
    for (int64_t tile = first; tile < last; ++tile)
        for (int64_t phase = 0; phase < f.phases_read; ++phase, slots += floats)
            call.plan.kernels().fourier_tile(f.grid, f.tiles->read(tile, phase), false, x, floats,
                                             floats, slots, step);
}

}  // namespace

int fourier_kernel(Plan& plan, std::string name, int slot, const TapTable& table,
                   const std::vector<int64_t>& points, const KernelShape& shape, bool transposed) {
    const Fourier f(plan, table, points, shape, transposed);
    const int laid_out = plan.add_memory(shape.taps * f.channels * f.wide);
    const int memory = plan.add_memory(f.phases_written * f.weights_of_phase());
    plan.add(name + ": rows side by side", 0, [=](const Call& call) {
        if (call.share.part) return;
        float* weights = call.plan.memory(laid_out);
        pack_tile(shape, transposed, call.slot(slot), 0, 0, f.rows, f.wide, weights);
        const float scale = 1.0f / static_cast<float>(f.grid.points);
        for (int64_t i = 0; i < shape.taps * f.channels * f.wide; ++i) weights[i] *= scale;
    });
    plan.add(std::move(name), 0, [=](const Call& call) {
        const int64_t first = f.channels * call.share.part / call.share.parts * f.wide;
        const int64_t last = f.channels * (call.share.part + 1) / call.share.parts * f.wide;
        const int64_t phases = f.phases_read * f.phases_written;
        const int64_t phase_step = transposed ? f.weights_of_phase() : f.channels * f.wide;
        for (int64_t phase = 0; phase < phases; ++phase)
            call.plan.kernels().fourier_tile(
                f.grid, f.tiles->taps(phase, transposed), true,
                call.plan.memory(laid_out) + first, f.channels * f.wide, last - first,
                call.plan.memory(memory) + phase * phase_step + first,
                slot_step(f.all_channels() * f.wide));
    });
    plan.release_memory(laid_out);
    return memory;
}

void fourier_convolution(Plan& plan, std::string name, const TapTable& table,
                         const std::vector<int64_t>& points, const KernelShape& shape,
                         bool transposed, int weights, int x, int y, int bias_slot, int residual,
                         const Activation& activation) {
    const Fourier f(plan, table, points, shape, transposed);
    const int64_t band = f.band(BAND_BYTES);
    const int64_t x_slot = slot_step(band * f.all_channels() * f.lanes);
    const int64_t y_slot = slot_step(band * f.wide * f.lanes);
    plan.need_scratch(4 * f.grid.slots * (x_slot + y_slot));
    plan.add(std::move(name), operations_of(plan, table, shape), [=](const Call& call) {
        const Kernels& kernels = call.plan.kernels();
        float* x_slots = reinterpret_cast<float*>(call.scratch);
        float* y_slots = x_slots + f.grid.slots * x_slot;
        const float* bias = call.slot(bias_slot);
        const float* added = call.buffer(residual);
        const Part part(f, call.share);
        const int64_t rows = part.last_row - part.first_row;
        if (rows == 0) return;
        const int64_t wide = rounded_up(rows, f.width);
        for (int64_t first = part.first_tile; first < part.last_tile; first += band) {
            const int64_t last = std::min(first + band, part.last_tile);
            transform_tiles(call, f, first, last, call.buffer(x), x_slots, x_slot);
            FourierProduct a{};
            a.slots = f.grid.slots;
            a.tiles = last - first;
            a.lanes = f.lanes;
            a.channels = f.all_channels();
            a.rows = rows;
            a.weight_step = f.wide;
            a.weight_slot = slot_step(f.all_channels() * f.wide);
            a.x_step = f.all_channels() * f.lanes;
            a.x_slot = x_slot;
            a.y_step = wide * f.lanes;
            a.y_slot = y_slot;
            for (int64_t phase = 0; phase < f.phases_written; ++phase) {
                kernels.fourier_product(
                    a, call.plan.memory(weights) + phase * f.weights_of_phase() + part.first_row,
                    x_slots, y_slots);
                for (int64_t tile = first; tile < last; ++tile)
                    kernels.fourier_tile_back(
                        f.grid, f.tiles->written(tile, phase), y_slots + (tile - first) * a.y_step,
                        y_slot, rows * f.lanes, f.lanes, bias ? bias + part.first_row : nullptr,
                        added ? added + part.first_row * f.lanes : nullptr, activation, call.buffer(y) + part.first_row * f.lanes, f.rows * f.lanes);
            }
        }
    });
}

void fourier_kernel_gradient(Plan& plan, std::string name, const TapTable& table,
                             const std::vector<int64_t>& points, const KernelShape& shape, int x,
                             int delta, int gradient) {
    const Fourier f(plan, table, points, shape, false);
    const int64_t band = f.band(GRADIENT_BAND_BYTES);
    const int64_t x_slot = slot_step(band * f.all_channels() * f.lanes);
    const int64_t delta_slot = slot_step(band * f.lanes * f.wide);
    const int64_t at_once = std::clamp<int64_t>(SUM_BYTES / (4 * f.grid.slots * f.wide), 1,
                                                f.all_channels());  // channels
    const int64_t sum_slot = slot_step(at_once * f.wide);
    const int64_t lane_tiles = f.lanes > 1 ? f.width * f.grid.points * f.width : 0;
    plan.need_scratch(4 * (f.grid.slots * (x_slot + delta_slot + sum_slot) + lane_tiles));
    plan.add(std::move(name), operations_of(plan, table, shape), [=](const Call& call) {
        const Kernels& kernels = call.plan.kernels();
        float* x_slots = reinterpret_cast<float*>(call.scratch);
        float* delta_slots = x_slots + f.grid.slots * x_slot;
        float* sums = delta_slots + f.grid.slots * delta_slot;
        float* of_lanes = sums + f.grid.slots * sum_slot;
        Part part(f, {});
        part.rows_only(f, call.share, f.wide / f.width);
        const int64_t rows = part.last_row - part.first_row;
        if (rows == 0) return;
        const float* deltas = call.buffer(delta) + part.first_row * f.lanes;
        for (int64_t first = 0; first < f.tiles->tiles(); first += band) {
            const int64_t last = std::min(first + band, f.tiles->tiles());
            transform_tiles(call, f, first, last, call.buffer(x), x_slots, x_slot);
            for (int64_t tile = first; tile < last; ++tile) {
                const TileView view = f.tiles->written(tile, 0);
                float* to = delta_slots + (tile - first) * f.lanes * f.wide;
                if (f.lanes == 1)
                    kernels.fourier_tile(f.grid, view, true, deltas, f.rows, rows, to,
                                         delta_slot);
                else
                    kernels.fourier_tile_by_lanes(f.grid, view, deltas, f.rows * f.lanes, rows,
                                                  f.lanes, to, delta_slot, f.wide, of_lanes);
            }
            add_gradients(call, f, {part.first_row, part.last_row, last - first, at_once, x_slot,
                           delta_slot, sum_slot},
                          x_slots, delta_slots, sums, call.plan.gradient(gradient, call));
        }
    });
}

}  // namespace convlet
