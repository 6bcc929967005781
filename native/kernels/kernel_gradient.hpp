// The gradient of a convolution by its kernel and by its bias.
//
//     gradient[t, c, r] += sum over outputs o, images of x[position(o, t)][c] * delta[o][r]
//
// Lecture 001: dJ/dK = sum of delta times the patch that K met. The loops are: set of taps, run of
// neighbouring taps (its taps and channels are consecutive rows of x), tile of x by tile of delta,
// and inside, with the tile's sums in registers, images and output positions.
//
//   by lanes    the sums of a block, in bands of outputs that stay in the L2 cache while all tiles go
//               over them: tiles of I x J vectors, x and delta both being blocks. 5 x 5
//               registers ran at 91 to 98 GFLOP/s on a core of 116 (Zen 4), 4 x 6 the same, 4 x 4
//               at 75.
//   by rows     vectors are rows of delta, a value of x is broadcast; nothing is left to add up
//               over lanes. For single images, and for sums over the whole batch: a layer with
//               many more weights than activations needs no partial gradients, its tiles are
//               shared out among the threads. delta is then brought to [image][position][row].
//               (LeNet's dense layer at batch 32 ran at 14 GFLOP/s by lanes: a tile's 32 lanes
//               are soon multiplied, and adding them up took most of the time.)
#pragma once

constexpr int OUTER_ROWS = REGISTERS == 32 ? 5 : 3;     // by lanes: a tile is at most this by this
constexpr int OUTER_VALUES = REGISTERS == 32 ? 6 : 4;   // by rows: so many values of x
constexpr int OUTER_VECTORS = REGISTERS == 32 ? 4 : 2;  // by so many vectors of delta

constexpr int TAPS_AT_ONCE = 3;                         // of groups, by lanes: so many taps
constexpr int TAPS_CHANNELS = REGISTERS == 32 ? 2 : 1;  // by so many values of x each
constexpr int TAPS_ROWS = REGISTERS == 32 ? 4 : 3;      // by so many of delta

// Where a tile's operands begin: output `o`'s row of delta is delta + o * delta_step.
struct OuterOperands {
    const float* x;
    const float* delta;
    float* gradient;
    int64_t x_step, delta_step, gradient_step;
    int64_t rows;  // by rows only: columns that are there, the last vector may be cut
};

template <int I, int J>
static void outer_by_lanes(const KernelGradient& a, const OuterOperands& tile, const TapSet& set,
                           Range outputs) {
    Vector sums[I][J] = {};
    for (int64_t p = outputs.first; p < outputs.last; ++p) {
        const float* values = tile.x + set.base[p] * tile.x_step;
        const float* deltas = tile.delta + set.output[p] * tile.delta_step;
        for (int64_t lane = 0; lane < a.lanes; lane += WIDTH) {
            Vector value[I];
            for (int i = 0; i < I; ++i) value[i] = load(values + i * a.lanes + lane);
            for (int j = 0; j < J; ++j) {
                const Vector d = load(deltas + j * a.lanes + lane);
                for (int i = 0; i < I; ++i) sums[i][j] = multiply_add(value[i], d, sums[i][j]);
            }
        }
    }
    for (int i = 0; i < I; ++i)
        for (int j = 0; j < J; ++j) tile.gradient[i * tile.gradient_step + j] += sum(sums[i][j]);
}

// Neighbouring taps of a group, whose channels are no consecutive rows of x. They meet the same
// deltas, and what one tap reads the next one has just read. With tiles of 4 x 4 for each tap alone,
// 8 groups of 8 channels came from the L2 cache nine times: 28 x 28, 16 images took 0.89 ms, not 0.73.
template <int T, int I, int J>
static void outer_by_taps(const KernelGradient& a, const OuterOperands& tile, const TapSet& set,
                          Range outputs) {
    Vector sums[T][I][J] = {};
    for (int64_t p = outputs.first; p < outputs.last; ++p) {
        const float* values = tile.x + set.base[p] * tile.x_step;
        const float* deltas = tile.delta + set.output[p] * tile.delta_step;
        for (int64_t lane = 0; lane < a.lanes; lane += WIDTH) {
            Vector d[J];
            for (int j = 0; j < J; ++j) d[j] = load(deltas + j * a.lanes + lane);
            for (int t = 0; t < T; ++t)
                for (int i = 0; i < I; ++i) {
                    const Vector value = load(values + t * tile.x_step + i * a.lanes + lane);
                    for (int j = 0; j < J; ++j)
                        sums[t][i][j] = multiply_add(value, d[j], sums[t][i][j]);
                }
        }
    }
    for (int t = 0; t < T; ++t)
        for (int i = 0; i < I; ++i)
            for (int j = 0; j < J; ++j)
                tile.gradient[(t * a.channels + i) * tile.gradient_step + j] += sum(sums[t][i][j]);
}

template <int I, int V>
static void outer_by_rows(const KernelGradient& a, const OuterOperands& tile, const TapSet& set,
                          Range outputs) {
    Vector sums[I][V] = {};
    const float* x = tile.x;
    const float* delta = tile.delta;
    for (int64_t image = 0, lane = 0; image < a.images; ++image) {
        for (int64_t p = outputs.first; p < outputs.last; ++p) {
            const float* values = x + set.base[p] * tile.x_step;
            const float* deltas = delta + set.output[p] * tile.delta_step;
            Vector d[V];
            // reads past the last row what is not used; buffers are padded for that
            for (int v = 0; v < V; ++v) d[v] = load(deltas + v * WIDTH);
            for (int i = 0; i < I; ++i) {
                const Vector value = broadcast(values[i * a.lanes]);
                for (int v = 0; v < V; ++v) sums[i][v] = multiply_add(value, d[v], sums[i][v]);
            }
        }
        delta += a.delta_step;
        ++x;
        if (++lane == a.lanes) lane = 0, x += a.x_step - a.lanes;  // the next block
    }
    for (int i = 0; i < I; ++i)
        for_vectors(0, tile.rows, [&](int64_t r, auto part) {
            float* target = tile.gradient + i * tile.gradient_step + r;
            part.write(target, part.read(target) + sums[i][r / WIDTH]);
        });
}

typedef void (*OuterFunction)(const KernelGradient&, const OuterOperands&, const TapSet&, Range);

template <int I, int J>
INLINE OuterFunction outer_lanes_column(int64_t j) {
    if constexpr (J > 0) return j == J ? outer_by_lanes<I, J> : outer_lanes_column<I, J - 1>(j);
    return nullptr;
}
template <int I>
INLINE OuterFunction outer_lanes_function(int64_t i, int64_t j) {
    if constexpr (I > 0)
        return i == I ? outer_lanes_column<I, OUTER_ROWS>(j) : outer_lanes_function<I - 1>(i, j);
    return nullptr;
}
template <int I, int V>
INLINE OuterFunction outer_rows_column(int64_t v) {
    if constexpr (V > 0) return v == V ? outer_by_rows<I, V> : outer_rows_column<I, V - 1>(v);
    return nullptr;
}
template <int I>
INLINE OuterFunction outer_rows_function(int64_t i, int64_t v) {
    if constexpr (I > 0)
        return i == I ? outer_rows_column<I, OUTER_VECTORS>(v) : outer_rows_function<I - 1>(i, v);
    return nullptr;
}

template <int T, int I, int J>
INLINE OuterFunction outer_taps_column(int64_t j) {
    if constexpr (J > 0)
        return j == J ? outer_by_taps<T, I, J> : outer_taps_column<T, I, J - 1>(j);
    return nullptr;
}
template <int T, int I>
INLINE OuterFunction outer_taps_row(int64_t i, int64_t j) {
    if constexpr (I > 0)
        return i == I ? outer_taps_column<T, I, TAPS_ROWS>(j) : outer_taps_row<T, I - 1>(i, j);
    return nullptr;
}
template <int T>
INLINE OuterFunction outer_taps_function(int64_t t, int64_t i, int64_t j) {
    if constexpr (T > 0)
        return t == T ? outer_taps_row<T, TAPS_CHANNELS>(i, j)
                      : outer_taps_function<T - 1>(t, i, j);
    return nullptr;
}

// The places of a set's outputs that lie from `first` up to `last`: they are in order.
static Range between(const TapSet& set, int64_t first, int64_t last) {
    int64_t bounds[2];
    const int64_t wanted[2] = {first, last};
    for (int b = 0; b < 2; ++b) {
        int64_t low = 0, high = set.outputs;
        while (low < high) {
            const int64_t middle = (low + high) / 2;
            if (set.output[middle] < wanted[b]) low = middle + 1;
            else high = middle;
        }
        bounds[b] = low;
    }
    return {bounds[0], bounds[1]};
}

// All tiles of one run of taps, for the outputs of a range; `unit` counts tiles for the share. In
// rows, several sets add to a tap's sums, and so the share goes by rows of delta.
static void gradient_of_run(const KernelGradient& a, const TapSet& set, Run run, Range outputs,
                            const float* x, const float* delta, float* gradient, Share share,
                            int64_t* unit) {
    const int64_t x_step = a.groups * a.channels * a.lanes, rows = a.groups * a.rows;
    const int64_t delta_lanes = a.by_rows ? 1 : a.lanes;
    const int64_t columns = a.by_rows ? (a.rows + WIDTH - 1) / WIDTH : a.rows;
    const Tiles of_x(run.taps * a.channels, a.by_rows ? OUTER_VALUES : OUTER_ROWS);
    const Tiles of_delta(columns, a.by_rows ? OUTER_VECTORS : OUTER_ROWS);
    for (int64_t group = 0; group < a.groups; ++group)
        for (int64_t outer = 0; outer < (a.by_rows ? of_delta : of_x).tiles; ++outer)
            for (int64_t inner = 0; inner < (a.by_rows ? of_x : of_delta).tiles; ++inner) {
                const int64_t place = a.in_rows ? group * of_delta.tiles + inner : (*unit)++;
                if (place % share.parts != share.part) continue;
                const int64_t i = a.by_rows ? inner : outer, j = a.by_rows ? outer : inner;
                const int64_t first = of_x.first(i);
                const int64_t r = of_delta.first(j) * (a.by_rows ? WIDTH : 1);
                const int64_t left = a.rows - r, wide = of_delta.size(j) * WIDTH;
                const OuterOperands operands = {
                    x + run.offset * x_step + (group * a.channels + first) * a.lanes,
                    delta + (group * a.rows + r) * delta_lanes,
                    gradient + (run.tap * a.channels + first) * rows + group * a.rows + r,
                    x_step, rows * delta_lanes, rows, left < wide ? left : wide};
                const OuterFunction function =
                    a.by_rows ? outer_rows_function<OUTER_VALUES>(of_x.size(i), of_delta.size(j))
                            : outer_lanes_function<OUTER_ROWS>(of_x.size(i), of_delta.size(j));
                function(a, operands, set, outputs);
            }
}

// The same for the taps of groups, in rows: some taps at once.
static void gradient_of_grouped_run(const KernelGradient& a, const TapSet& set, Run run,
                                    Range outputs, const float* x, const float* delta,
                                    float* gradient, Share share) {
    const int64_t x_step = a.groups * a.channels * a.lanes, rows = a.groups * a.rows;
    const Tiles of_taps(run.taps, TAPS_AT_ONCE), of_x(a.channels, TAPS_CHANNELS);
    const Tiles of_delta(a.rows, TAPS_ROWS);
    for (int64_t group = 0; group < a.groups; ++group)
        for (int64_t t = 0; t < of_taps.tiles; ++t)
            for (int64_t i = 0; i < of_x.tiles; ++i)
                for (int64_t j = 0; j < of_delta.tiles; ++j) {
                    if ((group * of_delta.tiles + j) % share.parts != share.part) continue;
                    const int64_t tap = of_taps.first(t), first = of_x.first(i);
                    const int64_t r = of_delta.first(j);
                    const OuterOperands operands = {
                        x + (run.offset + tap) * x_step + (group * a.channels + first) * a.lanes,
                        delta + (group * a.rows + r) * a.lanes,
                        gradient + ((run.tap + tap) * a.channels + first) * rows + group * a.rows + r,
                        x_step, rows * a.lanes, rows, 0};
                    outer_taps_function<TAPS_AT_ONCE>(of_taps.size(t), of_x.size(i),
                                                      of_delta.size(j))(a, operands, set, outputs);
                }
}

static void kernel_gradient(const KernelGradient& a, const float* x, const float* delta,
                            float* gradient, Share share) {
    if (is_depthwise(a.groups, a.channels, a.rows))
        return depthwise_kernel_gradient(a, x, delta, gradient, share);
    const int64_t row = a.groups * a.rows * a.lanes;
    const int64_t at_once = a.by_rows ? a.outputs : a.band_outputs;
    for (int64_t first = 0; first < a.outputs; first += at_once) {
        const int64_t last = first + at_once < a.outputs ? first + at_once : a.outputs;
        const float* deltas = delta;
        if (a.unpool) {
            max_pool_gradient_of(*a.unpool, row, a.winner, delta, a.band, first, last);
            deltas = a.band - first * row;
        }
        int64_t unit = 0;
        for (int64_t s = 0; s < a.set_count; ++s) {
            const TapSet& set = a.sets[s];
            const Range outputs = between(set, first, last);
            for (int64_t r = 0; r < set.runs; ++r)
                if (a.in_rows && a.groups > 1)
                    gradient_of_grouped_run(a, set, set.run[r], outputs, x, deltas, gradient, share);
                else
                    gradient_of_run(a, set, set.run[r], outputs, x, deltas,
                                    gradient + set.output[0] * a.set_step, share, &unit);
        }
    }
}

// gradient[c] += sum over positions and images of delta.
static void bias_gradient(const float* delta, int64_t positions, int64_t channels, int64_t lanes,
                          float* gradient, Share share) {
    const Range mine = share_of(channels, share);
    if (lanes == 1) {
        for_vectors(mine.first, mine.last, [&](int64_t c, auto part) {
            Vector total = part.read(gradient + c);
            for (int64_t p = 0; p < positions; ++p) total += part.read(delta + p * channels + c);
            part.write(gradient + c, total);
        });
        return;
    }
    for (int64_t c = mine.first; c < mine.last; ++c) {
        Vector total = {};
        for (int64_t p = 0; p < positions; ++p)
            for (int64_t lane = 0; lane < lanes; lane += WIDTH)
                total += load(delta + (p * channels + c) * lanes + lane);
        gradient[c] += sum(total);
    }
}
