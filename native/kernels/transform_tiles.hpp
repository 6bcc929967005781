// Tiles of images and kernels to slots and back, by fourier.hpp or winograd.hpp: all lines of each
// axis, read from memory where a tile begins and written where it ends.
#pragma once

// --- all lines of an axis ---

// Calls body with the number of points as a type; only a line alone has 64.
template <class Body>
INLINE void with_points(int64_t points, Body body) {
    switch (points) {
        case 1: body(Count<1>{}); break;
        case 4: body(Count<4>{}); break;
        case 6: body(Count<6>{}); break;
        case 8: body(Count<8>{}); break;
        case 12: body(Count<12>{}); break;
        case 16: body(Count<16>{}); break;
        case 24: body(Count<24>{}); break;
        case 32: body(Count<32>{}); break;
    }
}

// Calls body with what an axis does to its lines.
template <class Body>
INLINE void with_forward(const TileGrid& grid, int axis, TileRole role, Body body) {
    const int64_t points = grid.axes[axis].points, taps = grid.axes[axis].taps;
    if (grid.is_fourier || points == 1)
        with_points(points, [&](auto n) { body(Fourier<n.count>{}); });
    else if (role == TileRole::data && points == 4)
        body(WinogradForward<WinogradData<4>>{});
    else if (role == TileRole::data)
        body(WinogradForward<WinogradData<6>>{});
    else
        with_coefficients(points, role == TileRole::kernel ? taps : points - taps + 1,
                          [&](auto n, auto m) {
                              body(WinogradForward<WinogradCoefficients<n.count, m.count>>{
                                  {role == TileRole::kernel}});
                          });
}
template <class Body>
INLINE void with_back(const TileGrid& grid, int axis, TileRole role, Body body) {
    const int64_t points = grid.axes[axis].points, taps = grid.axes[axis].taps;
    if (grid.is_fourier || points == 1)
        with_points(points, [&](auto n) { body(Fourier<n.count>{}); });
    else
        with_coefficients(points, role == TileRole::kernel ? taps : points - taps + 1,
                          [&](auto n, auto m) {
                              body(WinogradBack<n.count, m.count>{role == TileRole::kernel});
                          });
}

// What of a tile exists, found once for all its vectors.
struct Tile {
    int outer;                  // the first axis with more than one point, or the last
    int64_t first[3], last[3];  // points that exist
    int64_t distance[3];        // of neighbouring points, in floats
    int64_t start;              // of the first point, in floats; it may not exist
    bool empty;
};

INLINE void find_tile(const TileGrid& grid, const TileView& view, const TilePlace& place,
                      int64_t step, Tile* tile) {
    int64_t distance = step;
    tile->start = 0;
    tile->empty = false;
    tile->outer = grid.axes[0].points > 1 ? 0 : grid.axes[1].points > 1 ? 1 : 2;
    for (int a = 2; a >= 0; --a) {
        const int64_t position = place.position[a];
        int64_t first = 0, last = view.count[a];
        while (first < last && position + first * view.step[a] < 0) ++first;
        while (last > first && position + (last - 1) * view.step[a] >= view.size[a]) --last;
        tile->first[a] = first;
        tile->last[a] = last;
        tile->start += position * distance;
        tile->distance[a] = view.step[a] * distance;
        tile->empty = tile->empty || first == last;
        distance *= view.size[a];
    }
}

// Calls visit(line, where it lies in memory, whether it exists) for the lines of axis a whose later
// coordinates are j and k, of each frequency of the axes before it.
template <class Visit>
INLINE void for_lines(const TileGrid& grid, const Tile& tile, int a, Visit visit) {
    const TileAxis& axis = grid.axes[a];
    const int64_t columns = a < 2 ? grid.axes[2].points : 1;
    const int64_t rows = a == 0 ? grid.axes[1].points : 1;
    for (int64_t l = 0; l < axis.count;)
        for (int64_t j = 0; j < rows; ++j) {
            const bool is_row = !tile.empty && (a > 0 || (j >= tile.first[1] && j < tile.last[1]));
            const int64_t place = a == 0 ? j * tile.distance[1] : 0;
            for (int64_t k = 0; k < columns; ++k, ++l)
                visit(axis.lines[l], a < 2 ? place + k * tile.distance[2] : 0,
                      is_row && (a == 2 || (k >= tile.first[2] && k < tile.last[2])));
        }
}

template <class Line>
static void transform_axis(Line of, const TileGrid& grid, const Tile& tile, int a,
                           Vector* buffer) {
    for_lines(grid, tile, a, [&](TileLine line, int64_t, bool exists) {
        if (exists) of.transform_line(buffer, line, grid.axes[a].step);
    });
}
template <class Line>
static void inverse_axis(Line of, const TileGrid& grid, const Tile& tile, int a, Vector* buffer) {
    for_lines(grid, tile, a, [&](TileLine line, int64_t, bool exists) {
        if (exists) of.inverse_line(buffer, line, grid.axes[a].step);
    });
}
template <class Line>
static void axis_to_slots(Line of, const TileAxis& axis, Vector* buffer, SlotWriter slots) {
    for (int64_t l = 0; l < axis.count; ++l) of.line_to_slots(buffer, axis.lines[l], slots);
}
template <class Line>
static void axis_from_slots(Line of, const TileAxis& axis, Vector* buffer, SlotReader slots) {
    for (int64_t l = 0; l < axis.count; ++l) of.line_from_slots(buffer, axis.lines[l], slots);
}

template <class Line>
static void memory_to_axis(Line of, const TileGrid& grid, const Tile& tile, const float* x,
                           int64_t count, Vector* buffer) {
    const TileAxis& axis = grid.axes[tile.outer];
    const int64_t distance = tile.distance[tile.outer];
    const int64_t first = tile.first[tile.outer], last = tile.last[tile.outer];
    const bool whole = first == 0 && last == Line::READS && count >= WIDTH;
    for_lines(grid, tile, tile.outer, [&](TileLine line, int64_t place, bool exists) {
        const Points to = {buffer + line.real, axis.step};
        if (!exists)
            for (int k = 0; k < Line::POINTS; ++k) to.write(k, Vector{});
        else if (whole) of.transform_reals(WholeInMemory{x + place, distance}, to);
        else of.transform_reals(InMemory{x + place, distance, first, last, count}, to);
    });
}

template <class Line, class Sink>
static void axis_to_memory(Line of, const TileGrid& grid, const Tile& tile, Vector* buffer,
                           Sink sink) {
    const TileAxis& axis = grid.axes[tile.outer];
    const int64_t start = sink.at;
    for_lines(grid, tile, tile.outer, [&](TileLine line, int64_t place, bool exists) {
        if (!exists) return;
        sink.at = start + place;
        of.inverse_reals(Points{buffer + line.real, axis.step}, sink);
    });
}

// Calls visit(place, other place) for the points of a tile that exist, in two memories.
template <class Visit>
INLINE void for_points_of(const Tile& tile, const Tile& other, Visit visit) {
    if (tile.empty) return;
    for (int64_t i = tile.first[0]; i < tile.last[0]; ++i)
        for (int64_t j = tile.first[1]; j < tile.last[1]; ++j)
            for (int64_t k = tile.first[2]; k < tile.last[2]; ++k)
                visit(i * tile.distance[0] + j * tile.distance[1] + k * tile.distance[2],
                      i * other.distance[0] + j * other.distance[1] + k * other.distance[2]);
}

// --- tiles in memory <-> slots ---

static void buffer_to_slots(const TileGrid& grid, const Tile& tile, TileRole role, Vector* buffer,
                            SlotWriter slots) {
    for (int a = tile.outer + 1; a < 2; ++a)
        if (grid.axes[a].points > 1)
            with_forward(grid, a, role, [&](auto line) {
                transform_axis(line, grid, tile, a, buffer);
            });
    with_forward(grid, 2, role,
                 [&](auto line) { axis_to_slots(line, grid.axes[2], buffer, slots); });
}

static void tile_to_slots(const TileGrid& grid, const Tile& tile, TileRole role, const float* x,
                          int64_t count, Vector* buffer, SlotWriter slots) {
    with_forward(grid, tile.outer, role,
                 [&](auto line) { memory_to_axis(line, grid, tile, x, count, buffer); });
    buffer_to_slots(grid, tile, role, buffer, slots);
}

// Tiles of one axis: a line is a tile, so what to do with lines is found once for all of them.

// Whether all points of such a tile exist.
INLINE bool is_inside(const TileView& view, const TilePlace& place) {
    const int64_t* p = place.position;
    const int64_t* size = view.size;
    return p[0] >= 0 && p[0] < size[0] && p[1] >= 0 && p[1] < size[1] && p[2] >= 0 &&
           p[2] + (view.count[2] - 1) * view.step[2] < size[2];
}
INLINE int64_t start_of(const TileView& view, const TilePlace& place, int64_t step) {
    const int64_t* p = place.position;
    return ((p[0] * view.size[1] + p[1]) * view.size[2] + p[2]) * step;
}

// With 16 channels, 3 taps and six points a core went there in 50 cycles and back in 54 a tile,
// mostly to find out what exists, and takes 34 each way where all does.
template <class Line>
static void lines_to_slots(Line of, const TileGrid& grid, const TileView& view,
                           const TilePlaces& places, TileRole role, const float* x, int64_t step,
                           int64_t floats, float* slots, int64_t tile_step, int64_t slot_step) {
    const int64_t distance = view.step[2] * step;
    for (int64_t t = 0; t < places.count; ++t) {
        const TilePlace& place = places.first[t * places.step];
        SlotWriter writer = {slots + t * tile_step, slot_step, role != TileRole::data};
        int64_t i = 0;
        if (is_inside(view, place)) {
            const float* from = x + start_of(view, place, step);
            for (; i + WIDTH <= floats; i += WIDTH) {
                SlotWriter to = {writer.at + i, slot_step, writer.is_kernel};
                if (view.count[2] == Line::READS)
                    of.reals_to_slots(WholeInMemory{from + i, distance}, to);
                else of.reals_to_slots(FirstInMemory{from + i, distance, view.count[2]}, to);
            }
            if (i == floats) continue;
        }
        Tile tile;
        find_tile(grid, view, place, step, &tile);
        const int64_t first = tile.first[2], last = tile.empty ? 0 : tile.last[2];
        for (; i < floats; i += WIDTH) {
            SlotWriter to = {writer.at + i, slot_step, writer.is_kernel};
            of.reals_to_slots(InMemory{x + tile.start + i, distance, first, last, floats - i}, to);
        }
    }
}

// Calls body with what the last axis does to its lines, if it is the only one.
template <class Body>
INLINE void with_forward_alone(const TileGrid& grid, TileRole role, Body body) {
    if (grid.points == 64) body(Fourier<64>{});
    else with_forward(grid, 2, role, body);
}
template <class Body>
INLINE void with_back_alone(const TileGrid& grid, TileRole role, Body body) {
    if (grid.points == 64) body(Fourier<64>{});
    else with_back(grid, 2, role, body);
}
INLINE bool is_alone(const TileGrid& grid) { return grid.points == grid.axes[2].points; }

// Calls body(number, tile, which one to fetch meanwhile) for the tiles of a list. That is the next
// one if it is far away, as of large images: 64 to 64 channels of 512 x 512 took 4.5 ns of a core an
// output, and take 4.2. Where it is near, it would take 5 % longer, and an empty one is named.
constexpr int64_t NEAR_BYTES = 512 << 10;

template <class Body>
INLINE void for_tiles(const TileGrid& grid, const TileView& view, const TilePlaces& places,
                      int64_t step, Body body) {
    const bool is_near = 4 * view.size[0] * view.size[1] * view.size[2] * step <= NEAR_BYTES;
    Tile tile, next;
    if (places.count) find_tile(grid, view, places.first[0], step, &next);
    for (int64_t t = 0; t < places.count; ++t) {
        tile = next;
        if (t + 1 < places.count)
            find_tile(grid, view, places.first[(t + 1) * places.step], step, &next);
        else next.empty = true;
        Tile fetched = next;
        fetched.empty = next.empty || is_near;
        body(t, tile, fetched);
    }
}

// Transforms tiles: `floats` numbers at each position, positions `step` floats apart.
static void transform_tiles(const TileGrid& grid, const TileView& view, const TilePlaces& places,
                            TileRole role, const float* x, int64_t step, int64_t floats,
                            float* slots, int64_t tile_step, int64_t slot_step) {
    if (is_alone(grid))
        return with_forward_alone(grid, role, [&](auto line) {
            lines_to_slots(line, grid, view, places, role, x, step, floats, slots, tile_step,
                           slot_step);
        });
    alignas(64) Vector buffer[TILE_BUFFER];
    for_tiles(grid, view, places, step, [&](int64_t t, const Tile& tile, const Tile& fetched) {
        for (int64_t i = 0; i < floats; i += WIDTH) {
            for_points_of(fetched, fetched, [&](int64_t place, int64_t) {
                __builtin_prefetch(x + fetched.start + place + i);
            });
            const SlotWriter writer = {slots + t * tile_step + i, slot_step,
                                       role != TileRole::data};
            tile_to_slots(grid, tile, role, x + tile.start + i, floats - i, buffer, writer);
        }
    });
}

// The products in the slots of a tile go back, and all that exist of its points to a sink; `role`
// is the kernel's for its gradient, or data.
template <class Sink>
INLINE void tile_from_slots(const TileGrid& grid, const Tile& tile, TileRole role,
                            SlotReader slots, Vector* buffer, const Sink& sink) {
    with_back(grid, 2, role,
              [&](auto line) { axis_from_slots(line, grid.axes[2], buffer, slots); });
    if (tile.outer == 0 && grid.axes[1].points > 1)
        with_back(grid, 1, role, [&](auto line) {
            inverse_axis(line, grid, tile, 1, buffer);
        });
    with_back(grid, tile.outer, role,
              [&](auto line) { axis_to_memory(line, grid, tile, buffer, sink); });
}

// What a vector of channels, or of a channel's images, begins with.
INLINE Vector bias_of(const float* bias, int64_t i, int64_t floats, int64_t lanes) {
    if (!bias) return Vector{};
    if (lanes > 1) return broadcast(bias[i / lanes]);
    return floats - i >= WIDTH ? load(bias + i) : load_first(bias + i, floats - i);
}

// What is done with a convolution's outputs: `lanes` numbers of each channel, `floats` in all.
struct Outputs {
    int64_t floats, lanes;
    const float* bias;
    const float* residual;
    const Activation& activation;
    float* y;

    INLINE_MEMBER WrittenToMemory sink(const Tile& tile, int64_t i) const {
        const int a = tile.outer;
        return {y, residual, tile.start + i, tile.distance[a], tile.first[a], tile.last[a],
                floats - i, bias_of(bias, i, floats, lanes)};
    }
};

template <class Line>
static void lines_from_slots(Line of, const TileGrid& grid, const TileView& view,
                             const TilePlaces& places, const float* slots, int64_t tile_step,
                             int64_t slot_step, const Outputs& outputs, int64_t step) {
    const int64_t distance = view.step[2] * step, floats = outputs.floats;
    for (int64_t t = 0; t < places.count; ++t, slots += tile_step) {
        const TilePlace& place = places.first[t * places.step];
        int64_t i = 0;
        if (!outputs.residual && is_inside(view, place)) {
            float* to = outputs.y + start_of(view, place, step);
            for (; i + WIDTH <= floats; i += WIDTH) {
                SlotReader from = {slots + i, slot_step};
                const Vector start = bias_of(outputs.bias, i, floats, outputs.lanes);
                of.reals_from_slots(from, FirstToMemory{to + i, distance, view.count[2], start});
            }
            if (i == floats && outputs.activation.name == ActivationName::linear) continue;
        }
        Tile tile;
        find_tile(grid, view, place, step, &tile);
        if (tile.empty) continue;
        for (; i < floats; i += WIDTH) {
            SlotReader from = {slots + i, slot_step};
            of.reals_from_slots(from, outputs.sink(tile, i));
        }
        for_points_of(tile, tile, [&](int64_t point, int64_t) {
            activate_tile(outputs.activation, outputs.y + tile.start + point, 1, 0, floats);
        });
    }
}

// y = the tiles, then bias, what is added, and activation: `lanes` numbers for each channel.
static void write_tiles(const TileGrid& grid, const TileView& view, const TilePlaces& places,
                        const float* slots, int64_t tile_step, int64_t slot_step, int64_t floats,
                        int64_t lanes, const float* bias, const float* residual,
                        const Activation& activation, float* y, int64_t step) {
    const Outputs outputs = {floats, lanes, bias, residual, activation, y};
    if (is_alone(grid))
        return with_back_alone(grid, TileRole::data, [&](auto line) {
            lines_from_slots(line, grid, view, places, slots, tile_step, slot_step, outputs, step);
        });
    alignas(64) Vector buffer[TILE_BUFFER];
    for_tiles(grid, view, places, step, [&](int64_t t, const Tile& tile, const Tile& fetched) {
        if (tile.empty) return;
        for (int64_t i = 0; i < floats; i += WIDTH) {
            for_points_of(fetched, fetched, [&](int64_t place, int64_t) {
                __builtin_prefetch(y + fetched.start + place + i, 1);
            });
            tile_from_slots(grid, tile, TileRole::data,
                            SlotReader{slots + t * tile_step + i, slot_step}, buffer,
                            outputs.sink(tile, i));
        }
        for_points_of(tile, tile, [&](int64_t point, int64_t) {
            activate_tile(activation, y + tile.start + point, 1, 0, floats);
        });
    });
}

// gradient += scale * the tile.
static void add_tile(const TileGrid& grid, const TileView& view, const TilePlace& place,
                     const float* slots, int64_t slot_step, int64_t floats, float scale,
                     float* gradient, int64_t step) {
    alignas(64) Vector buffer[TILE_BUFFER];
    Tile tile;
    find_tile(grid, view, place, step, &tile);
    if (tile.empty) return;
    const int64_t first = tile.first[tile.outer], last = tile.last[tile.outer];
    for (int64_t i = 0; i < floats; i += WIDTH) {
        const AddedToMemory sink = {gradient, tile.start + i, tile.distance[tile.outer], first,
                                    last, floats - i, scale};
        SlotReader reader = {slots + i, slot_step};
        if (is_alone(grid))
            with_back_alone(grid, TileRole::kernel,
                            [&](auto line) { line.reals_from_slots(reader, sink); });
        else
            tile_from_slots(grid, tile, TileRole::kernel, reader, buffer, sink);
    }
}

// --- the same for images side by side, as channels side by side ---

// Elements with and without bit H of their number change places between two vectors.
template <int H>
INLINE void exchange(Vector& a, Vector& b) {
    Integers low, high;
    for (int i = 0; i < WIDTH; ++i) {
        low[i] = i & H ? WIDTH + i - H : i;
        high[i] = i & H ? WIDTH + i : i + H;
    }
#if defined(__clang__)
    Vector first = a, second = b;
    for (int i = 0; i < WIDTH; ++i) {
        first[i] = low[i] < WIDTH ? a[low[i] % WIDTH] : b[low[i] % WIDTH];
        second[i] = high[i] < WIDTH ? a[high[i] % WIDTH] : b[high[i] % WIDTH];
    }
#else
    const Vector first = __builtin_shuffle(a, b, low), second = __builtin_shuffle(a, b, high);
#endif
    a = first;
    b = second;
}

template <int H>
INLINE void transpose_from(Vector (&rows)[WIDTH]) {
    if constexpr (H < WIDTH) {
        for (int i = 0; i < WIDTH; ++i)
            if (!(i & H)) exchange<H>(rows[i], rows[i + H]);
        transpose_from<2 * H>(rows);
    }
}

// Transforms a tile of a block, a gradient: the slots get [lane][channel] instead of
// [channel][lane]. `scratch` holds WIDTH tiles.
static void transform_tile_by_lanes(const TileGrid& grid, const TileView& view,
                                    const TilePlace& place, const float* x, int64_t step,
                                    int64_t channels, int64_t lanes, float* slots,
                                    int64_t slot_step, int64_t lane_step, float* scratch) {
    Tile tile, apart;
    find_tile(grid, view, place, step, &tile);
    const int64_t size = WIDTH * grid.points;  // of a lane's tile, all points one after the other
    TileView packed = view;
    for (int a = 0; a < 3; ++a) {
        packed.step[a] = 1;
        packed.size[a] = grid.axes[a].points;
    }
    find_tile(grid, packed, TilePlace{}, WIDTH, &apart);
    for (int a = 0; a < 3; ++a) {
        apart.first[a] = tile.first[a];
        apart.last[a] = tile.last[a];
    }
    apart.empty = tile.empty;
    alignas(64) Vector buffer[TILE_BUFFER];
    for (int64_t c = 0; c < channels; c += WIDTH)
        for (int64_t lane = 0; lane < lanes; lane += WIDTH) {
            const int64_t there = channels - c < WIDTH ? channels - c : WIDTH;
            const float* from = x + tile.start + c * lanes + lane;
            for_points_of(tile, apart, [&](int64_t place, int64_t to) {
                Vector rows[WIDTH] = {};
                for (int64_t i = 0; i < there; ++i) rows[i] = load(from + place + i * lanes);
                transpose_from<1>(rows);
                for (int i = 0; i < WIDTH; ++i) store(scratch + i * size + to, rows[i]);
            });
            for (int i = 0; i < WIDTH; ++i) {
                SlotWriter to = {slots + (lane + i) * lane_step + c, slot_step, true};
                const float* lane_tile = scratch + i * size;
                if (!is_alone(grid)) {
                    tile_to_slots(grid, apart, TileRole::delta, lane_tile, WIDTH, buffer, to);
                    continue;
                }
                const int64_t last = tile.empty ? 0 : tile.last[2];
                with_forward_alone(grid, TileRole::delta, [&](auto line) {
                    line.reals_to_slots(InMemory{lane_tile, WIDTH, tile.first[2], last, WIDTH}, to);
                });
            }
        }
}
