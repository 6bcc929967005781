// Tiles of images and kernels to slots and back, for fourier.hpp: all lines of each axis, read from memory
// where a tile begins and written where it ends.
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
template <class Body>
INLINE void with_points_alone(int64_t points, Body body) {
    if (points == 64) body(Count<64>{});
    else with_points(points, body);
}

template <int N>
static void transform_axis(const FourierAxis& axis, Vector* buffer, const uint8_t* needed) {
    for (int64_t l = 0; l < axis.count; ++l)
        if (needed[l % axis.later]) transform_line<N>(buffer, axis.lines[l], axis.step);
}
template <int N>
static void inverse_axis(const FourierAxis& axis, Vector* buffer, const uint8_t* needed) {
    for (int64_t l = 0; l < axis.count; ++l)
        if (needed[l % axis.later]) inverse_line<N>(buffer, axis.lines[l], axis.step);
}
template <int N>
static void axis_to_slots(const FourierAxis& axis, Vector* buffer, SlotWriter slots) {
    for (int64_t l = 0; l < axis.count; ++l)
        line_to_slots<N>(buffer, axis.lines[l], slots);
}
template <int N>
static void axis_from_slots(const FourierAxis& axis, Vector* buffer, SlotReader slots) {
    for (int64_t l = 0; l < axis.count; ++l) line_from_slots<N>(buffer, axis.lines[l], slots);
}

// --- tiles in memory: [position][floats] ---

// Vectors of which only some floats exist; not inlined, they are rare and there are many places.
static __attribute__((noinline)) Vector read_part(const float* p, int64_t count) {
    return load_first(p, count);
}
static __attribute__((noinline)) void write_part(float* p, Vector v, int64_t count) {
    store_first(p, v, count);
}

// Points of a line that exist, and where they are; the others are zero, and are not written. `count`:
// floats there are for each vector.
struct InMemory {
    const float* at;
    int64_t step, first, last, count;
    INLINE_MEMBER Vector read(int j) const {
        if (j < first || j >= last) return Vector{};
        return count >= WIDTH ? load(at + j * step) : read_part(at + j * step, count);
    }
};
struct WholeInMemory {
    const float* at;
    int64_t step;
    INLINE_MEMBER Vector read(int j) const { return load(at + j * step); }
};
struct WrittenToMemory {
    float* y;
    const float* residual;
    int64_t at, step, first, last, count;
    Vector start;
    INLINE_MEMBER void write(int j, Vector v) const {
        if (j < first || j >= last) return;
        const int64_t place = at + j * step;
        v += start;
        if (residual) v += count >= WIDTH ? load(residual + place) : read_part(residual + place, count);
        if (count >= WIDTH) store(y + place, v);
        else write_part(y + place, v, count);
    }
};
struct AddedToMemory {
    float* gradient;
    int64_t at, step, first, last, count;
    float scale;
    INLINE_MEMBER void write(int j, Vector v) const {
        if (j < first || j >= last) return;
        float* to = gradient + at + j * step;
        if (count >= WIDTH) store(to, multiply_add(v, broadcast(scale), load(to)));
        else write_part(to, multiply_add(v, broadcast(scale), read_part(to, count)), count);
    }
};

// What of a tile exists, found once for all its vectors.
struct Tile {
    int outer;                  // the first axis with more than one point, or the last
    int64_t first[3], last[3];  // points that exist
    int64_t distance[3];        // of neighbouring points, in floats
    int64_t start;              // of the first point, in floats; it may not exist
    bool empty, whole;
    uint8_t needed[2][FOURIER_BUFFER];  // by later coordinates, the lines that are not zero
};

INLINE void find_tile(const FourierGrid& grid, const TileView& view, int64_t step, Tile* tile) {
    int64_t distance = step;
    tile->start = 0;
    tile->empty = false;
    tile->whole = true;
    tile->outer = grid.axes[0].points > 1 ? 0 : grid.axes[1].points > 1 ? 1 : 2;
    for (int a = 2; a >= 0; --a) {
        int64_t first = 0, last = view.count[a];
        while (first < last && view.start[a] + first * view.step[a] < 0) ++first;
        while (last > first && view.start[a] + (last - 1) * view.step[a] >= view.size[a]) --last;
        tile->first[a] = first;
        tile->last[a] = last;
        tile->start += view.start[a] * distance;
        tile->distance[a] = view.step[a] * distance;
        tile->empty = tile->empty || first == last;
        tile->whole = tile->whole && first == 0 && last == grid.axes[a].points;
        distance *= view.size[a];
    }
    for (int a = 0; a < 2; ++a)
        for (int64_t l = 0; l < grid.axes[a].later; ++l) {
            const int64_t k = l % grid.axes[2].points, j = l / grid.axes[2].points;
            const bool inside = a == 1 || (j >= tile->first[1] && j < tile->last[1]);
            tile->needed[a][l] = !tile->empty && inside && k >= tile->first[2] && k < tile->last[2];
        }
}

// Where line l of the outer axis begins, from the tile's first point.
INLINE int64_t place_of_line(const FourierGrid& grid, const Tile& tile, int64_t l) {
    const int64_t k = l % grid.axes[2].points, j = l / grid.axes[2].points;
    return tile.outer == 2 ? 0 : k * tile.distance[2] + (tile.outer == 0 ? j * tile.distance[1] : 0);
}

template <int N>
static void memory_to_axis(const FourierGrid& grid, const Tile& tile, const float* x, int64_t count,
                           Vector* buffer) {
    const FourierAxis& axis = grid.axes[tile.outer];
    const int64_t distance = tile.distance[tile.outer];
    const int64_t first = tile.first[tile.outer], last = tile.last[tile.outer];
    const bool whole = first == 0 && last == N && count >= WIDTH;
    for (int64_t l = 0; l < axis.count; ++l) {
        const Points to = {buffer + axis.lines[l].real, axis.step};
        const float* from = x + place_of_line(grid, tile, l);
        if (!tile.needed[tile.outer][l])
            for (int k = 0; k < N; ++k) to.write(k, Vector{});
        else if (whole) transform_reals<N>(WholeInMemory{from, distance}, to);
        else transform_reals<N>(InMemory{from, distance, first, last, count}, to);
    }
}

template <int N, class Sink>
static void axis_to_memory(const FourierGrid& grid, const Tile& tile, Vector* buffer, Sink sink) {
    const FourierAxis& axis = grid.axes[tile.outer];
    const int64_t start = sink.at;
    for (int64_t l = 0; l < axis.count; ++l) {
        if (!tile.needed[tile.outer][l]) continue;
        sink.at = start + place_of_line(grid, tile, l);
        inverse_reals<N>(Points{buffer + axis.lines[l].real, axis.step}, sink);
    }
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

static void buffer_to_slots(const FourierGrid& grid, const Tile& tile, Vector* buffer,
                            SlotWriter slots) {
    for (int a = tile.outer + 1; a < 2; ++a)
        if (grid.axes[a].points > 1)
            with_points(grid.axes[a].points, [&](auto number) {
                transform_axis<number.count>(grid.axes[a], buffer, tile.needed[a]);
            });
    with_points(grid.axes[2].points, [&](auto number) {
        axis_to_slots<number.count>(grid.axes[2], buffer, slots);
    });
}

static void tile_to_slots(const FourierGrid& grid, const Tile& tile, const float* x, int64_t count,
                          Vector* buffer, SlotWriter slots) {
    const int64_t points = grid.axes[tile.outer].points;
    if (tile.outer == 2) {
        const int64_t last = tile.empty ? 0 : tile.last[2];
        const InMemory source = {x, tile.distance[2], tile.first[2], last, count};
        with_points_alone(points,
                          [&](auto number) { reals_to_slots<number.count>(source, slots); });
        return;
    }
    with_points(points, [&](auto number) {
        memory_to_axis<number.count>(grid, tile, x, count, buffer);
    });
    buffer_to_slots(grid, tile, buffer, slots);
}

// Transforms a tile: `floats` numbers at each position, positions `step` floats apart.
static void fourier_tile(const FourierGrid& grid, const TileView& view, bool is_kernel,
                         const float* x, int64_t step, int64_t floats, float* slots,
                         int64_t slot_step) {
    alignas(64) Vector buffer[FOURIER_BUFFER];
    Tile tile;
    find_tile(grid, view, step, &tile);
    for (int64_t i = 0; i < floats; i += WIDTH) {
        const SlotWriter writer = {slots + i, slot_step, is_kernel};
        tile_to_slots(grid, tile, x + tile.start + i, floats - i, buffer, writer);
    }
}

// The products in the slots of a tile go back, and all that exist of its points to a sink.
template <class Sink>
INLINE void tile_from_slots(const FourierGrid& grid, const Tile& tile, SlotReader slots,
                            Vector* buffer, const Sink& sink) {
    if (tile.empty) return;
    if (tile.outer == 2) {
        with_points_alone(grid.axes[2].points,
                          [&](auto number) { reals_from_slots<number.count>(slots, sink); });
        return;
    }
    with_points(grid.axes[2].points, [&](auto number) {
        axis_from_slots<number.count>(grid.axes[2], buffer, slots);
    });
    if (tile.outer == 0 && grid.axes[1].points > 1)
        with_points(grid.axes[1].points, [&](auto number) {
            inverse_axis<number.count>(grid.axes[1], buffer, tile.needed[1]);
        });
    with_points(grid.axes[tile.outer].points, [&](auto number) {
        axis_to_memory<number.count>(grid, tile, buffer, sink);
    });
}

// y = the tile, then bias, what is added, and activation: `lanes` numbers for each channel.
static void fourier_tile_back(const FourierGrid& grid, const TileView& view, const float* slots,
                              int64_t slot_step, int64_t floats, int64_t lanes, const float* bias,
                              const float* residual, const Activation& activation, float* y,
                              int64_t step) {
    alignas(64) Vector buffer[FOURIER_BUFFER];
    Tile tile;
    find_tile(grid, view, step, &tile);
    const int64_t first = tile.first[tile.outer], last = tile.last[tile.outer];
    for (int64_t i = 0; i < floats; i += WIDTH) {
        const int64_t left = floats - i;
        Vector start = {};
        if (bias && lanes > 1) start = broadcast(bias[i / lanes]);
        else if (bias) start = left >= WIDTH ? load(bias + i) : load_first(bias + i, left);
        const WrittenToMemory sink = {y, residual, tile.start + i, tile.distance[tile.outer],
                                      first, last, left, start};
        tile_from_slots(grid, tile, SlotReader{slots + i, slot_step}, buffer, sink);
    }
    if (activation.name != ActivationName::linear)
        for_points_of(tile, tile, [&](int64_t place, int64_t) {
            activate_tile(activation, y + tile.start + place, 1, 0, floats);
        });
}

// gradient += scale * the tile.
static void fourier_tile_added(const FourierGrid& grid, const TileView& view, const float* slots,
                               int64_t slot_step, int64_t floats, float scale, float* gradient,
                               int64_t step) {
    alignas(64) Vector buffer[FOURIER_BUFFER];
    Tile tile;
    find_tile(grid, view, step, &tile);
    const int64_t first = tile.first[tile.outer], last = tile.last[tile.outer];
    for (int64_t i = 0; i < floats; i += WIDTH) {
        const AddedToMemory sink = {gradient, tile.start + i, tile.distance[tile.outer], first,
                                    last, floats - i, scale};
        tile_from_slots(grid, tile, SlotReader{slots + i, slot_step}, buffer, sink);
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

// Transforms a tile of a block, as a kernel: the slots get [lane][channel] instead of [channel][lane].
// `scratch` holds WIDTH tiles.
static void fourier_tile_by_lanes(const FourierGrid& grid, const TileView& view, const float* x,
                                  int64_t step, int64_t channels, int64_t lanes, float* slots,
                                  int64_t slot_step, int64_t lane_step, float* scratch) {
    Tile tile, apart;
    find_tile(grid, view, step, &tile);
    const int64_t size = WIDTH * grid.points;  // of a lane's tile, all points one after the other
    TileView packed = view;
    for (int a = 0; a < 3; ++a) {
        packed.start[a] = 0;
        packed.step[a] = 1;
        packed.size[a] = grid.axes[a].points;
    }
    find_tile(grid, packed, WIDTH, &apart);
    for (int a = 0; a < 3; ++a) {
        apart.first[a] = tile.first[a];
        apart.last[a] = tile.last[a];
    }
    memcpy(apart.needed, tile.needed, sizeof(tile.needed));
    apart.empty = tile.empty;
    alignas(64) Vector buffer[FOURIER_BUFFER];
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
                float* to = slots + (lane + i) * lane_step + c;
                tile_to_slots(grid, apart, scratch + i * size, WIDTH, buffer,
                              SlotWriter{to, slot_step, true});
            }
        }
}
