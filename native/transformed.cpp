// See transformed.hpp.
#include "transformed.hpp"

#include <algorithm>
#include <utility>

#include "packing.hpp"

namespace convlet {
namespace {

// Of a thread for the slots of some tiles at a time: weights are read once for each band, and the
// sums of a kernel gradient go back once for each. Small ones stay in the L2 cache, 64 to 64
// channels at 512 x 512 take 2.2 ns an output instead of 2.4 with 3 MB. Where weights outgrow the
// caches, bands do, too: 384 to 384 channels at 13 x 13, 21 MB, took 36 ms with bands of 3 MB, 24
// with 12.
constexpr int64_t BAND_BYTES = 512 << 10;
constexpr int64_t LARGEST_BAND_BYTES = 12 << 20;
// Of a kernel gradient, twice the sums: 64 to 64 channels of 3 x 3 at 64 x 64 take 2.6 ns an output
// instead of 3.5 with bands of 6 MB, but of 9 x 9, 6 MB of sums, 85 ms instead of 63 with 1.5.
constexpr int64_t GRADIENT_BAND_BYTES = 3 << 19;
constexpr int64_t LARGEST_GRADIENT_BAND_BYTES = 6 << 20;
constexpr int64_t SUM_BYTES = 4 << 20;  // of those sums
// Tried without gain: sums of products lane by lane, with no need to bring deltas to images first,
// but with all lanes of a sum to add up for each band: 3 channels by 96 filters of 11 x 11 took 104
// ms of a core instead of 66, one channel of 64 taps as long as before.

int64_t rounded_up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }
int64_t divided_down(int64_t a, int64_t b) { return a / b - (a % b < 0); }

// From slot to slot: room for a whole vector from the last number on, in lines of the cache, and an
// odd number of them, so that slots do not all fall into the same few sets of it.
int64_t slot_step(int64_t floats) { return (rounded_up(floats + 15, 16) / 16 | 1) * 16; }

std::array<Axis, 3> three(const std::vector<Axis>& axes) {
    std::array<Axis, 3> all;
    all.fill({1, 1, 1, 1, 0, 1});
    std::copy(axes.begin(), axes.end(), all.end() - static_cast<int64_t>(axes.size()));
    return all;
}

int64_t taps_of_phase(const Axis& axis) { return (axis.taps + axis.stride - 1) / axis.stride; }

}  // namespace

Tiling::Tiling(const std::vector<Axis>& given, const Transform& transform, bool transposed)
    : transposed_(transposed) {
    const std::array<Axis, 3> axes = three(given);
    Triple all = {1, 1, 1};
    const std::vector<int64_t>& points = transform.points;
    std::copy(points.begin(), points.end(), all.end() - static_cast<int64_t>(points.size()));
    grid_.is_fourier = transform.is_fourier;
    find_lines(axes, all);
    for_grid({axes[0].stride, axes[1].stride, axes[2].stride},
             [&](const std::vector<int64_t>& phase) {
                 phases_.push_back({phase[0], phase[1], phase[2]});
             });
    cut(axes, all);
    for (int a = 0; a < 3; ++a) {
        const int64_t taps = taps_of_phase(axes[a]), stride = axes[a].stride;
        tap_view_.step[a] = stride;
        tap_view_.size[a] = axes[a].taps;
        tap_view_.count[a] = taps;
    }
}

// The lines that each axis meets, after those before it.
void Tiling::find_lines(const std::array<Axis, 3>& axes, const Triple& points) {
    std::vector<TileLine> known = {{0, -1}};
    grid_.points = points[0] * points[1] * points[2];
    const int64_t row = points[2] + (grid_.points > points[2]);
    const Triple steps = {points[1] * row, row, 1};
    for (int a = 0; a < 3; ++a) {
        const auto n = static_cast<int32_t>(points[a]), step = static_cast<int32_t>(steps[a]);
        const int64_t rows = a == 0 ? points[1] : 1, columns = a < 2 ? points[2] : 1;
        std::vector<TileLine> next;
        for (const TileLine& line : known) {
            for (int64_t later = 0; later < rows * columns; ++later) {
                const auto place = static_cast<int32_t>(later / columns * row + later % columns);
                const bool is_real = line.imaginary < 0;
                lines_[a].push_back({line.real + place, is_real ? -1 : line.imaginary + place});
            }
            const std::vector<TileLine> more = behind(line, n, step);
            next.insert(next.end(), more.begin(), more.end());
        }
        known = std::move(next);
        const auto count = static_cast<int64_t>(lines_[a].size());
        grid_.axes[a] = {n, step, taps_of_phase(axes[a]), rows * columns, nullptr, count};
    }
    for (const TileLine& line : known) grid_.slots += line.imaginary < 0 ? 1 : 3;
}

// What becomes of a line's points. By Fourier transform, of a line of reals the first and the
// middle frequency are real, of the others one of each conjugate pair is kept; of a line of complex
// numbers all are. Winograd's values are real.
std::vector<TileLine> Tiling::behind(const TileLine& line, int32_t points, int32_t step) const {
    std::vector<TileLine> lines;
    const bool is_real = line.imaginary < 0;
    if (!grid_.is_fourier)
        for (int32_t k = 0; k < points; ++k) lines.push_back({line.real + k * step, -1});
    else if (!is_real)
        for (int32_t k = 0; k < points; ++k)
            lines.push_back({line.real + k * step, line.imaginary + k * step});
    else {
        lines.push_back({line.real, -1});
        if (points > 1) lines.push_back({line.real + points / 2 * step, -1});
        for (int32_t k = 1; 2 * k < points; ++k)
            lines.push_back({line.real + k * step, line.real + (points / 2 + k) * step});
    }
    return lines;
}

void Tiling::cut(const std::array<Axis, 3>& axes, const Triple& points) {
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
    for (int a = 0; a < 3; ++a) {
        const Axis& axis = axes[a];
        x_view_.step[a] = axis.stride * axis.dilation;
        y_view_.step[a] = axis.dilation;
        x_view_.size[a] = axis.size;
        y_view_.size[a] = axis.outputs;
        x_view_.count[a] = transposed_ ? inside[a] : points[a];
        y_view_.count[a] = transposed_ ? points[a] : inside[a];
    }
    for_grid(classes, [&](const std::vector<int64_t>& which) {
        for_grid(tiles, [&](const std::vector<int64_t>& tile) {
            TilePlace x, y;
            for (int a = 0; a < 3; ++a) {
                const Axis& axis = axes[a];
                const int64_t start = first[a] + tile[a] * inside[a];
                const int64_t back = transposed_ ? taps_of_phase(axis) - 1 : 0;
                x.position[a] = axis.stride * axis.dilation * start + which[a] - axis.begin;
                y.position[a] = axis.dilation * (start - back) + which[a];
            }
            add_tile(x, y);
        });
    });
}

void Tiling::add_tile(const TilePlace& x, const TilePlace& y) {
    y_places_.push_back(y);
    for (const Triple& phase : phases_) {
        x_places_.push_back(x);
        for (int a = 0; a < 3; ++a) x_places_.back().position[a] += phase[a];
    }
}

TileGrid Tiling::grid() const {
    TileGrid grid = grid_;
    for (int a = 0; a < 3; ++a) grid.axes[a].lines = lines_[a].data();
    return grid;
}

TilePlaces Tiling::read(int64_t first, int64_t last, int64_t phase) const {
    return transposed_ ? of_y(first, last) : of_x(first, last, phase);
}

TilePlaces Tiling::written(int64_t first, int64_t last, int64_t phase) const {
    return transposed_ ? of_x(first, last, phase) : of_y(first, last);
}

TilePlaces Tiling::of_x(int64_t first, int64_t last, int64_t phase) const {
    return {x_places_.data() + first * phases() + phase, last - first, phases()};
}

TilePlaces Tiling::of_y(int64_t first, int64_t last) const {
    return {y_places_.data() + first, last - first, 1};
}

TilePlace Tiling::first_tap(int64_t phase) const {
    TilePlace place;
    for (int a = 0; a < 3; ++a) place.position[a] = phases_[phase][a];
    return place;
}

TileView Tiling::kernel_tile() const {
    TileView view = tap_view_;
    for (int a = 0; a < 3; ++a) {
        view.step[a] = 1;
        view.size[a] = view.count[a];
    }
    return view;
}

int64_t Tiling::tap(int64_t n, int64_t phase) const {
    int64_t number = 0, step = 1;
    for (int a = 2; a >= 0; --a) {
        const int64_t count = tap_view_.count[a], place = n % count;
        const int64_t met = transposed_ ? count - 1 - place : place;  // backwards from the last one
        const int64_t tap = phases_[phase][a] + met * tap_view_.step[a];
        if (tap >= tap_view_.size[a]) return -1;
        number += tap * step;
        step *= tap_view_.size[a];
        n /= count;
    }
    return number;
}

namespace {

// A convolution of one group, or its way back, as products in slots. Phases are as channels where
// they are read, as rows where they are written.
struct Transformed {
    std::shared_ptr<const Tiling> tiles;
    TileGrid grid;
    int64_t lanes, width;
    int64_t phases_read, phases_written;  // one of them is 1
    int64_t channels, rows;               // of one phase
    int64_t wide;                         // rows of all, in whole registers

    Transformed(const Plan& plan, const TapTable& table, const Transform& transform,
                const KernelShape& shape, bool transposed)
        : tiles(std::make_shared<Tiling>(table.axes(), transform, transposed)),
          grid(tiles->grid()),
          lanes(plan.lanes()),
          width(plan.kernels().width),
          phases_read(transposed ? 1 : tiles->phases()),
          phases_written(transposed ? tiles->phases() : 1),
          channels(transposed ? shape.rows : shape.channels),
          rows(transposed ? shape.channels : shape.rows),
          wide(rounded_up(phases_written * rows, width)) {}
    // Of what comes back.
    float scale() const {
        return grid.is_fourier ? 1.0f / static_cast<float>(grid.points) : 1.0f;
    }
    int64_t all_channels() const { return phases_read * channels; }
    int64_t all_rows() const { return phases_written * rows; }
    // From tile to tile of what is written.
    int64_t written() const { return lanes > 1 ? all_rows() * lanes : wide; }
    int64_t weights() const { return grid.slots * slot_step(all_channels() * wide); }
    int64_t floats_of_tile() const {
        return grid.slots * (all_channels() * lanes + std::max(written(), wide));
    }
    // Tiles whose slots a thread keeps at a time.
    int64_t band(int64_t bytes) const {
        const int64_t most = bytes / (4 * floats_of_tile());
        return std::clamp<int64_t>(most, 1, std::max<int64_t>(tiles->tiles(), 1));
    }
};

// A thread's part of a block: some tiles, or, where there are fewer tiles than threads, some rows.
struct Part {
    int64_t first_tile, last_tile, first_row, last_row;

    Part(const Transformed& f, const Share& share) : first_row(0), last_row(f.all_rows()) {
        const int64_t tiles = f.tiles->tiles();
        const bool by_tiles = tiles >= share.parts;
        first_tile = by_tiles ? tiles * share.part / share.parts : 0;
        last_tile = by_tiles ? tiles * (share.part + 1) / share.parts : tiles;
        if (!by_tiles) rows_only(f, share);
    }
    void rows_only(const Transformed& f, const Share& share) {
        const int64_t vectors = f.wide / f.width;
        first_row = std::min(f.all_rows(), vectors * share.part / share.parts * f.width);
        last_row = std::min(f.all_rows(), vectors * (share.part + 1) / share.parts * f.width);
    }
};

// What a step of a kernel gradient adds up.
struct Sums {
    int64_t first_row, last_row, tiles, at_once;  // rows, tiles, and channels at a time
    int64_t x_slot, delta_slot, sum_slot;
};

// gradient += the way back of the sums over tiles and images, some channels at a time.
void add_gradients(const Call& call, const Transformed& f, const Sums& s, const float* x_slots,
                   const float* delta_slots, float* sums, float* gradient) {
    const int64_t rows = s.last_row - s.first_row, step = f.channels * f.rows;
    SlotProduct a{};
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
    const Kernels& kernels = call.plan.kernels();
    const float scale = f.scale();
    for (int64_t first = 0; first < f.all_channels(); first += s.at_once) {
        a.channels = std::min(s.at_once, f.all_channels() - first);
        kernels.slot_outer(a, x_slots + first * f.lanes, delta_slots, sums);
        for (int64_t c = first; c < first + a.channels; ++c)
            kernels.add_tile(f.grid, f.tiles->taps(), f.tiles->first_tap(c / f.channels),
                             sums + (c - first) * f.wide, s.sum_slot, rows, scale,
                             gradient + c % f.channels * f.rows + s.first_row, step);
    }
}

// Deltas as the sums of products want them, lanes as if they were tiles: [tile][lane][row].
void transform_deltas(const Call& call, const Transformed& f, int64_t first, int64_t last,
                      const Part& part, float* slots, int64_t step, float* scratch,
                      const float* deltas) {
    const Kernels& kernels = call.plan.kernels();
    const TileView& view = f.tiles->writes();
    const TilePlaces places = f.tiles->written(first, last, 0);
    const int64_t rows = part.last_row - part.first_row;
    if (f.lanes == 1)
        return kernels.transform_tiles(f.grid, view, places, TileRole::delta, deltas,
                                       f.rows, rows, slots, f.wide, step);
    for (int64_t tile = 0; tile < places.count; ++tile)
        kernels.transform_tile_by_lanes(f.grid, view, places.first[tile], deltas,
                                        f.rows * f.lanes, rows, f.lanes,
                                        slots + tile * f.lanes * f.wide, step, f.wide, scratch);
}

// All phases of a tile before the next one: whole vectors are written, over what follows.
void transform_tiles(const Call& call, const Transformed& f, int64_t first, int64_t last,
                     const float* x, float* slots, int64_t step) {
    const int64_t floats = f.channels * f.lanes, at_once = f.phases_read > 1 ? 1 : last - first;
    for (int64_t tile = first; tile < last; tile += at_once)
        for (int64_t phase = 0; phase < f.phases_read; ++phase, slots += floats)
            call.plan.kernels().transform_tiles(
                f.grid, f.tiles->reads(), f.tiles->read(tile, tile + at_once, phase),
                TileRole::data, x, floats, floats, slots, floats, step);
}

// Lays out some channels of a kernel, [tap of a phase][channel][row]: taps that a phase has not are
// 0.
void lay_out(const Transformed& f, bool transposed, const float* kernel, int64_t first_channel,
             int64_t last_channel, float* laid_out) {
    const TileView view = f.tiles->kernel_tile();
    const int64_t taps = view.size[0] * view.size[1] * view.size[2];
    const int64_t channel_step = transposed ? 1 : f.rows, row_step = transposed ? f.channels : 1;
    const float scale = f.scale();
    for (int64_t n = 0; n < taps; ++n)
        for (int64_t phase = 0; phase < f.tiles->phases(); ++phase) {
            const int64_t tap = f.tiles->tap(n, phase);
            for (int64_t c = first_channel; c < last_channel; ++c) {
                const float* from =
                    kernel + std::max(tap, int64_t{0}) * f.channels * f.rows + c * channel_step;
                const int64_t before = transposed ? 0 : phase * f.channels;
                const int64_t channel = n * f.all_channels() + before + c;
                float* to = laid_out + channel * f.wide + (transposed ? phase * f.rows : 0);
                for (int64_t r = 0; r < f.rows; ++r)
                    to[r] = tap < 0 ? 0 : scale * from[r * row_step];
                std::fill(to + (transposed ? f.all_rows() - phase * f.rows : f.rows),
                          laid_out + (channel + 1) * f.wide, 0.0f);
            }
        }
}

}  // namespace

int transformed_kernel(Plan& plan, std::string name, int slot, const TapTable& table,
                       const Transform& transform, const KernelShape& shape, bool transposed) {
    const Transformed f(plan, table, transform, shape, transposed);
    const TileView view = f.tiles->kernel_tile();
    const int64_t floats = f.all_channels() * f.wide;
    const int laid_out = plan.add_memory(view.size[0] * view.size[1] * view.size[2] * floats);
    const int memory = plan.add_memory(f.weights());
    plan.add(name + ": rows side by side", 0, [=](const Call& call) {
        const Share& share = call.share;
        lay_out(f, transposed, call.slot(slot), f.channels * share.part / share.parts,
                f.channels * (share.part + 1) / share.parts, call.plan.memory(laid_out));
    });
    plan.add(std::move(name), 0, [=](const Call& call) {
        const Share& share = call.share;
        const int64_t first = f.all_channels() * share.part / share.parts * f.wide;
        const int64_t last = f.all_channels() * (share.part + 1) / share.parts * f.wide;
        const TilePlace taps = {};
        call.plan.kernels().transform_tiles(f.grid, view, {&taps, 1, 0}, TileRole::kernel,
                                            call.plan.memory(laid_out) + first, floats,
                                            last - first, call.plan.memory(memory) + first, 0,
                                            slot_step(floats));
    });
    plan.release_memory(laid_out);
    return memory;
}

namespace {

// What a convolution writes, and what is done with it before.
struct Written {
    const float *bias, *residual;
    const Activation& activation;
    float* y;
};

// Those rows of a phase that are among some of all.
void write_rows(const Call& call, const Transformed& f, const Written& w, int64_t first_tile,
                int64_t last_tile, const Part& part, int64_t phase, const float* slots,
                int64_t tile_step, int64_t slot) {
    const int64_t first = std::max(part.first_row - phase * f.rows, int64_t{0});
    const int64_t last = std::min(part.last_row - phase * f.rows, f.rows);
    if (first >= last) return;
    call.plan.kernels().write_tiles(
        f.grid, f.tiles->writes(), f.tiles->written(first_tile, last_tile, phase),
        slots + (phase * f.rows + first - part.first_row) * f.lanes, tile_step, slot,
        (last - first) * f.lanes, f.lanes, w.bias ? w.bias + first : nullptr,
        w.residual ? w.residual + first * f.lanes : nullptr, w.activation, w.y + first * f.lanes,
        f.rows * f.lanes);
}

}  // namespace

void transformed_convolution(Plan& plan, std::string name, const TapTable& table,
                             const Transform& transform, const KernelShape& shape,
                             bool transposed, int weights, int x, int y, int bias_slot,
                             int residual, const Activation& activation) {
    const Transformed f(plan, table, transform, shape, transposed);
    const int64_t band = f.band(
        std::clamp(2 * f.weights(), BAND_BYTES, LARGEST_BAND_BYTES));  // half the weights
    const int64_t x_slot = slot_step(band * f.all_channels() * f.lanes);
    const int64_t y_slot = slot_step(band * f.written());
    plan.need_scratch(4 * f.grid.slots * (x_slot + y_slot));
    plan.add(std::move(name), operations_of(plan, table, shape), [=](const Call& call) {
        float* x_slots = reinterpret_cast<float*>(call.scratch);
        float* y_slots = x_slots + f.grid.slots * x_slot;
        const Written written = {call.slot(bias_slot), call.buffer(residual), activation,
                                 call.buffer(y)};
        const Part part(f, call.share);
        SlotProduct a{};
        a.slots = f.grid.slots;
        a.lanes = f.lanes;
        a.channels = f.all_channels();
        a.rows = part.last_row - part.first_row;
        a.weight_step = f.wide;
        a.weight_slot = slot_step(f.all_channels() * f.wide);
        a.x_step = f.all_channels() * f.lanes;
        a.x_slot = x_slot;
        a.y_step = f.lanes > 1 ? a.rows * f.lanes : rounded_up(a.rows, f.width);
        a.y_slot = y_slot;
        if (a.rows == 0) return;
        for (int64_t first = part.first_tile; first < part.last_tile; first += band) {
            const int64_t last = std::min(first + band, part.last_tile);
            transform_tiles(call, f, first, last, call.buffer(x), x_slots, x_slot);
            a.tiles = last - first;
            call.plan.kernels().slot_product(a, call.plan.memory(weights) + part.first_row, x_slots,
                                             y_slots);
            for (int64_t phase = 0; phase < f.phases_written; ++phase)
                write_rows(call, f, written, first, last, part, phase, y_slots, a.y_step, y_slot);
        }
    });
}

void transformed_kernel_gradient(Plan& plan, std::string name, const TapTable& table,
                                 const Transform& transform, const KernelShape& shape, int x,
                                 int delta, int gradient) {
    const Transformed f(plan, table, transform, shape, false);
    const int64_t band = f.band(
        std::clamp(8 * f.weights(), GRADIENT_BAND_BYTES, LARGEST_GRADIENT_BAND_BYTES));
    const int64_t x_slot = slot_step(band * f.all_channels() * f.lanes);
    const int64_t delta_slot = slot_step(band * f.lanes * f.wide);
    const int64_t at_once = std::clamp<int64_t>(SUM_BYTES / (4 * f.grid.slots * f.wide), 1,
                                                f.all_channels());  // channels
    const int64_t sum_slot = slot_step(at_once * f.wide);
    const int64_t lane_tiles = f.lanes > 1 ? f.width * f.grid.points * f.width : 0;
    plan.need_scratch(4 * (f.grid.slots * (x_slot + delta_slot + sum_slot) + lane_tiles));
    plan.add(std::move(name), operations_of(plan, table, shape), [=](const Call& call) {
        float* x_slots = reinterpret_cast<float*>(call.scratch);
        float* delta_slots = x_slots + f.grid.slots * x_slot;
        float* sums = delta_slots + f.grid.slots * delta_slot;
        float* of_lanes = sums + f.grid.slots * sum_slot;
        Part part(f, {});
        part.rows_only(f, call.share);
        if (part.first_row == part.last_row) return;
        for (int64_t first = 0; first < f.tiles->tiles(); first += band) {
            const int64_t last = std::min(first + band, f.tiles->tiles());
            transform_tiles(call, f, first, last, call.buffer(x), x_slots, x_slot);
            transform_deltas(call, f, first, last, part, delta_slots, delta_slot, of_lanes,
                             call.buffer(delta) + part.first_row * f.lanes);
            add_gradients(call, f,
                          {part.first_row, part.last_row, last - first, at_once, x_slot,
                           delta_slot, sum_slot},
                          x_slots, delta_slots, sums, call.plan.gradient(gradient, call));
        }
    });
}

}  // namespace convlet
