// The convolution, forward. Its input gradient is the same loop over the transposed table (every
// input position gathers from the outputs that read it), and a dense layer is a table of one tap.
//
//     y[o][r] = bias[r] + sum over taps t, channels c of weight[t, c, r] * x[position(o, t)][c]
//
// A *tile* of sums is kept in registers over the whole of the sum, in the order of the taps and
// then of the channels, so each is one chain of fused multiply-adds whatever the tile, the number
// of lanes or the share of the work: the bits are the same.
//
//   lanes > 1   vectors are images: tiles of M rows by V vectors of lanes; a weight is broadcast.
//               The loops are: tile, output position, runs of taps, channels. A tile's weights
//               (20 KB for 500 products of 10 rows) stay in the L1 cache over all positions.
//               Fewer than six sums are made of several positions at once.
//   lanes = 1   the roles are swapped, vectors are rows: tiles of M positions of one pattern by V
//               vectors of rows; a value of x is broadcast.
//
// On Zen 4 (one core, 116 GFLOP/s at best) the inner loop alone ran at 116 with 10 x 2 and 6 x 4
// registers, 108 with 17 x 1 and 85 with 24 x 1. It is compiled with -O3: at -O2, GCC 12 does not
// unroll it into registers, and it runs at 45.
#pragma once

// --- tiles; pack_kernel in stages.cpp lays out the weights for them ---

INLINE int64_t vectors_of_lanes(int64_t lanes) {
    const int64_t most = REGISTERS == 32 ? 4 : 2;
    return lanes / WIDTH < most ? lanes / WIDTH : most;
}

// A multiply-add takes four cycles, and one begins in each: fewer sums wait for themselves.
constexpr int64_t FEWEST_SUMS = 6;

// Rows of a tile at most; for one lane a multiple of WIDTH.
static int64_t rows_per_tile(int64_t lanes, int64_t outputs) {
    if (lanes == 1) return WIDTH * (outputs == 1 ? 8 : REGISTERS == 32 ? 4 : 2);
    switch (vectors_of_lanes(lanes)) {
        case 4: return 6;
        case 2: return REGISTERS == 32 ? 12 : 6;
        default: return 16;
    }
}

// What one tile is given: its weights, bias, and the first of its rows, channels and lanes.
struct TileOperands {
    const float* weights;
    const float* bias;
    const float* x;
    float* y;
    const float* residual;
    int64_t winner;  // place of the first winner
    int64_t rows;    // one lane only: rows that are there, the last vector may be cut
};

// --- vectors are images ---

template <int M, int V>
INLINE void multiply_lanes(Vector (&sums)[M][V], const float* weights, int64_t weight_step,
                           const float* x, int64_t lanes, int64_t count) {
    for (int64_t k = 0; k < count; ++k) {
        Vector values[V];
        for (int v = 0; v < V; ++v) values[v] = load(x + v * WIDTH);
        for (int m = 0; m < M; ++m) {
            const Vector weight = broadcast(weights[m]);
            for (int v = 0; v < V; ++v) sums[m][v] = multiply_add(weight, values[v], sums[m][v]);
        }
        weights += weight_step;
        x += lanes;
    }
}

template <int M, int V>
INLINE void convolve_position(const Convolution& a, const TileOperands& tile, int64_t o,
                              Vector (&sums)[M][V]) {
    for (int m = 0; m < M; ++m) {
        const Vector start = broadcast(tile.bias ? tile.bias[m] : 0.0f);
        for (int v = 0; v < V; ++v) sums[m][v] = start;
    }
    const int64_t step = a.groups * a.channels * a.lanes;
    const float* base = tile.x + a.table.base[o] * step;
    const int32_t pattern = a.table.pattern[o];
    for (int32_t r = a.table.first_run[pattern]; r < a.table.first_run[pattern + 1]; ++r) {
        const Run run = a.table.runs[r];
        multiply_lanes<M, V>(sums, tile.weights + run.tap * a.channels * M, M,
                             base + run.offset * step, a.lanes, run.taps * a.channels);
    }
}

template <int M, int V>
static void convolve_lanes(const Convolution& a, const TileOperands& tile, Range outputs) {
    const int64_t step = a.groups * a.rows * a.lanes;
    for (int64_t o = outputs.first; o < outputs.last; ++o) {
        Vector sums[M][V];
        convolve_position<M, V>(a, tile, o, sums);
        float* y = tile.y + o * step;
        if (tile.residual)
            for (int m = 0; m < M; ++m)
                for (int v = 0; v < V; ++v)
                    sums[m][v] += load(tile.residual + o * step + m * a.lanes + v * WIDTH);
        for (int m = 0; m < M; ++m)
            for (int v = 0; v < V; ++v) store(y + m * a.lanes + v * WIDTH, sums[m][v]);
        activate_tile(a.activation, y, M, a.lanes, V * WIDTH);
    }
}

// Few rows are too few sums to keep the multiply-adds busy, so P outputs of a line are summed at
// once: back to images of one channel, 20 filters of 5 x 5 took 2.4 ms of a core, and take 0.9.
template <int M, int P>
static void convolve_few_rows(const Convolution& a, const TileOperands& tile, const Line& line) {
    const int64_t x_step = a.groups * a.channels * a.lanes, y_step = a.groups * a.rows * a.lanes;
    const int64_t next_x = line.base_step * x_step, next_y = line.output_step * y_step;
    const int32_t pattern = a.table.pattern[line.output];
    for (int64_t lane = 0; lane < a.lanes; lane += WIDTH) {
        Vector sums[P][M];
        for (int m = 0; m < M; ++m) {
            const Vector start = broadcast(tile.bias ? tile.bias[m] : 0.0f);
            for (int p = 0; p < P; ++p) sums[p][m] = start;
        }
        for (int32_t r = a.table.first_run[pattern]; r < a.table.first_run[pattern + 1]; ++r) {
            const Run run = a.table.runs[r];
            const float* weights = tile.weights + run.tap * a.channels * M;
            const float* x = tile.x + (line.base + run.offset) * x_step + lane;
            for (int64_t k = 0; k < run.taps * a.channels; ++k, weights += M, x += a.lanes)
                for (int p = 0; p < P; ++p) {
                    const Vector value = load(x + p * next_x);
                    for (int m = 0; m < M; ++m)
                        sums[p][m] = multiply_add(broadcast(weights[m]), value, sums[p][m]);
                }
        }
        for (int p = 0; p < P; ++p)
            for (int m = 0; m < M; ++m) {
                const int64_t place = line.output * y_step + p * next_y + m * a.lanes + lane;
                if (tile.residual) sums[p][m] += load(tile.residual + place);
                store(tile.y + place, sums[p][m]);
            }
    }
    activate_tile(a.activation, tile.y + line.output * y_step, P, next_y, M * a.lanes);
}

// The same with max pooling behind it: the positions of a window one after the other, of which the
// largest stays. What the convolution makes is never written. Windows have less than 256 taps.
template <int M, int V>
static void convolve_and_pool(const Convolution& a, const TileOperands& tile, Range windows) {
    for (int64_t window = windows.first; window < windows.last; ++window) {
        Vector best[M][V] = {};
        Integers winner[M][V] = {};
        bool first = true;
        for_taps(*a.pool, window, [&](int64_t position, int32_t tap) {
            Vector sums[M][V];
            convolve_position<M, V>(a, tile, position, sums);
            for (int m = 0; m < M; ++m)
                for (int v = 0; v < V; ++v) {
                    const Integers better = first ? ~Integers{} : replaces(sums[m][v], best[m][v]);
                    best[m][v] = choose(better, sums[m][v], best[m][v]);
                    winner[m][v] = better ? Integers{} + tap : winner[m][v];
                }
            first = false;
        });
        const int64_t place = window * a.groups * a.rows * a.lanes;
        for (int m = 0; m < M; ++m)
            for (int v = 0; v < V; ++v) {
                const int64_t i = place + m * a.lanes + v * WIDTH;
                store(tile.y + i, best[m][v]);
                write_winners(a.winner + tile.winner + i, winner[m][v], WIDTH);
            }
        activate_tile(a.activation, tile.y + place, M, a.lanes, V * WIDTH);
    }
}

// --- vectors are rows ---

// The sums of M outputs `o` of one pattern.
template <int M, int V>
INLINE void convolve_outputs(const Convolution& a, const TileOperands& tile, const int32_t* o,
                             Vector (&sums)[M][V]) {
    const int64_t x_step = a.groups * a.channels;
    for (int v = 0; v < V; ++v) {
        const int64_t left = tile.rows - v * WIDTH;
        Vector start = {};
        if (tile.bias)
            start = left >= WIDTH ? load(tile.bias + v * WIDTH)
                                  : load_first(tile.bias + v * WIDTH, left);
        for (int m = 0; m < M; ++m) sums[m][v] = start;
    }
    const int32_t pattern = a.table.pattern[o[0]];
    for (int32_t r = a.table.first_run[pattern]; r < a.table.first_run[pattern + 1]; ++r) {
        const Run run = a.table.runs[r];
        const float* weights = tile.weights + run.tap * a.channels * (V * WIDTH);
        const float* x[M];
        for (int m = 0; m < M; ++m) x[m] = tile.x + (a.table.base[o[m]] + run.offset) * x_step;
        for (int64_t k = 0; k < run.taps * a.channels; ++k) {
            Vector row[V];
            for (int v = 0; v < V; ++v) row[v] = load(weights + k * V * WIDTH + v * WIDTH);
            for (int m = 0; m < M; ++m) {
                const Vector value = broadcast(x[m][k]);
                for (int v = 0; v < V; ++v) sums[m][v] = multiply_add(value, row[v], sums[m][v]);
            }
        }
    }
}

template <int M, int V>
static void convolve_rows(const Convolution& a, const TileOperands& tile, Range outputs) {
    const int64_t y_step = a.groups * a.rows;
    const int32_t* o = a.table.order + outputs.first;
    Vector sums[M][V];
    convolve_outputs<M, V>(a, tile, o, sums);
    for (int m = 0; m < M; ++m)
        for (int v = 0; v < V; ++v) {
            const int64_t place = o[m] * y_step + v * WIDTH;
            const int64_t left = tile.rows - v * WIDTH;
            if (tile.residual)
                sums[m][v] += left >= WIDTH ? load(tile.residual + place)
                                            : load_first(tile.residual + place, left);
            if (left >= WIDTH) store(tile.y + place, sums[m][v]);
            else store_first(tile.y + place, sums[m][v], left);
        }
    for (int m = 0; m < M; ++m)
        activate_tile(a.activation, tile.y + o[m] * y_step, 1, 0, tile.rows);
}

// The same with max pooling behind it: the outputs of a window M at a time, where M of them have
// one pattern.
template <int M, int V>
static void convolve_rows_and_pool(const Convolution& a, const TileOperands& tile, Range windows) {
    const int64_t step = a.groups * a.rows;
    for (int64_t window = windows.first; window < windows.last; ++window) {
        int32_t outputs[256], taps[256];
        int64_t count = 0;
        for_taps(*a.pool, window, [&](int64_t position, int32_t tap) {
            outputs[count] = (int32_t)position;
            taps[count++] = tap;
        });
        Vector best[V] = {};
        Integers winner[V] = {};
        const auto compete = [&](const Vector (&sums)[V], int64_t i) {
            for (int v = 0; v < V; ++v) {
                const Integers better = i == 0 ? ~Integers{} : replaces(sums[v], best[v]);
                best[v] = choose(better, sums[v], best[v]);
                winner[v] = better ? Integers{} + taps[i] : winner[v];
            }
        };
        for (int64_t i = 0; i < count;) {
            bool alike = i + M <= count;
            for (int m = 1; alike && m < M; ++m)
                alike = a.table.pattern[outputs[i]] == a.table.pattern[outputs[i + m]];
            if (alike) {
                Vector sums[M][V];
                convolve_outputs<M, V>(a, tile, outputs + i, sums);
                for (int m = 0; m < M; ++m) compete(sums[m], i + m);
                i += M;
            } else {
                Vector sums[1][V];
                convolve_outputs<1, V>(a, tile, outputs + i, sums);
                compete(sums[0], i++);
            }
        }
        for_vectors(0, tile.rows, [&](int64_t r, auto part) {
            part.write(tile.y + window * step + r, best[r / WIDTH]);
            write_winners(a.winner + tile.winner + window * step + r, winner[r / WIDTH],
                          left_of(part));
        });
        activate_tile(a.activation, tile.y + window * step, 1, 0, tile.rows);
    }
}

// --- choosing the instance for a tile ---

typedef void (*TileFunction)(const Convolution&, const TileOperands&, Range);

template <int M, int V>
INLINE TileFunction lanes_function(int64_t m, bool pool) {
    if constexpr (M > 0) {
        if (m == M) return pool ? convolve_and_pool<M, V> : convolve_lanes<M, V>;
        return lanes_function<M - 1, V>(m, pool);
    }
    return nullptr;
}

template <int M, int V>
INLINE TileFunction rows_function_of(int64_t m) {
    if constexpr (M > 0) return m == M ? convolve_rows<M, V> : rows_function_of<M - 1, V>(m);
    return nullptr;
}
// The most positions of a tile of V vectors of rows.
template <int V>
constexpr int positions_per_tile() {
    if (REGISTERS == 32) return V <= 4 ? 6 : 3;
    return V <= 2 ? 6 : 1;
}
template <int V>
INLINE TileFunction rows_function(int64_t m, int64_t v) {
    if constexpr (V > 0)
        return v == V ? rows_function_of<positions_per_tile<V>(), V>(m) : rows_function<V - 1>(m, v);
    return nullptr;
}
INLINE int64_t most_positions(int64_t v) {
    if (REGISTERS == 32) return v <= 4 ? 6 : 3;
    return v <= 2 ? 6 : 1;
}

template <int M, int V>
INLINE TileFunction rows_and_pool_function_of(int64_t m) {
    if constexpr (M > 0)
        return m == M ? convolve_rows_and_pool<M, V> : rows_and_pool_function_of<M - 1, V>(m);
    return nullptr;
}
template <int V>
INLINE TileFunction rows_and_pool_function(int64_t m, int64_t v) {
    if constexpr (V > 0)
        return v == V ? rows_and_pool_function_of<4, V>(m) : rows_and_pool_function<V - 1>(m, v);
    return nullptr;
}

// --- the drivers: every unit of work, of which a thread takes its share ---

// Outputs of few rows that are summed at once.
template <int M>
constexpr int OUTPUTS_OF_ROWS = (REGISTERS - 2 - M) / M < 8 ? (REGISTERS - 2 - M) / M : 8;

template <int M>
static void convolution_of_few_rows(const Convolution& a, const float* x, float* y, Share share) {
    const int64_t outputs = a.table.outputs, sum_length = a.table.taps * a.channels;
    const Range mine = share_of(a.groups * outputs, share);
    for (int64_t group = 0; group < a.groups; ++group) {
        const int64_t row = group * M;
        const TileOperands operands = {
            a.weights + row * sum_length, a.bias ? a.bias + row : nullptr,
            x + group * a.channels * a.lanes, y + row * a.lanes,
            a.residual ? a.residual + row * a.lanes : nullptr, row * a.lanes, M};
        const Range places = {mine.first - group * outputs, mine.last - group * outputs};
        for (int64_t l = 0; l < a.table.first_line[a.table.patterns]; ++l) {
            const Line line = clipped(a.table.lines[l], places);
            if (!line.length) continue;
            const Tiles tiles(line.length, OUTPUTS_OF_ROWS<M>);
            for (int64_t i = 0; i < tiles.tiles; ++i) {
                const int64_t first = line.place + tiles.first(i), count = tiles.size(i);
                with_count<OUTPUTS_OF_ROWS<M>>(count, [&](auto p) {
                    convolve_few_rows<M, p.count>(a, operands,
                                                  clipped(line, {first, first + count}));
                });
            }
        }
    }
}

static void convolution_of_lanes(const Convolution& a, const float* x, float* y, Share share) {
    const int64_t vectors = vectors_of_lanes(a.lanes), at_once = vectors * WIDTH;
    if (!a.pool && a.rows * vectors < FEWEST_SUMS)
        return with_count<FEWEST_SUMS - 1>(a.rows, [&](auto rows) {
            convolution_of_few_rows<rows.count>(a, x, y, share);
        });
    const int64_t outputs = a.pool ? a.pool->outputs : a.table.outputs;
    const Tiles tiles(a.rows, rows_per_tile(a.lanes, outputs));
    const int64_t parts_of_lanes = a.lanes / at_once, sum_length = a.table.taps * a.channels;
    Range mine = share_of(a.groups * tiles.tiles * parts_of_lanes * outputs, share);
    while (mine.first < mine.last) {
        const int64_t column = mine.first / outputs, o = mine.first % outputs;
        const int64_t left = mine.last - mine.first;
        const int64_t count = left < outputs - o ? left : outputs - o;
        const int64_t lane = column % parts_of_lanes * at_once;
        const int64_t tile = column / parts_of_lanes % tiles.tiles;
        const int64_t group = column / parts_of_lanes / tiles.tiles;
        const int64_t row = group * a.rows + tiles.first(tile);
        const int64_t m = tiles.size(tile);
        const TileOperands operands = {a.weights + row * sum_length,
                                       a.bias ? a.bias + row : nullptr,
                                       x + group * a.channels * a.lanes + lane,
                                       y + row * a.lanes + lane,
                                       a.residual ? a.residual + row * a.lanes + lane : nullptr,
                                       row * a.lanes + lane, m};
        const TileFunction function =
            vectors == 4   ? lanes_function<6, 4>(m, a.pool)
            : vectors == 2 ? lanes_function<REGISTERS == 32 ? 12 : 6, 2>(m, a.pool)
                           : lanes_function<16, 1>(m, a.pool);
        function(a, operands, {o, o + count});
        mine.first += count;
    }
}

static void convolution_of_rows(const Convolution& a, const float* x, float* y, Share share) {
    const int64_t vectors = (a.rows + WIDTH - 1) / WIDTH;
    const Tiles tiles(vectors, rows_per_tile(1, a.table.outputs) / WIDTH);
    const int64_t sum_length = a.table.taps * a.channels;
    const int64_t outputs = a.pool ? a.pool->outputs : a.table.outputs;
    const Range mine = share_of(a.groups * tiles.tiles * outputs, share);
    for (int64_t column = 0; column < a.groups * tiles.tiles; ++column) {
        const int64_t tile = column % tiles.tiles, group = column / tiles.tiles;
        const int64_t v = tiles.size(tile), first_row = tiles.first(tile) * WIDTH;
        const int64_t row = group * a.rows + first_row;
        const int64_t rows = a.rows - first_row < v * WIDTH ? a.rows - first_row : v * WIDTH;
        const TileOperands operands = {
            a.weights + (group * vectors + tiles.first(tile)) * WIDTH * sum_length,
            a.bias ? a.bias + row : nullptr, x + group * a.channels, y + row,
            a.residual ? a.residual + row : nullptr, row, rows};
        if (a.pool) {
            const int64_t first = column * outputs, m = a.pool->taps < 4 ? a.pool->taps : 4;
            const int64_t begin = mine.first > first ? mine.first - first : 0;
            const int64_t end = mine.last - first < outputs ? mine.last - first : outputs;
            if (begin < end) rows_and_pool_function<4>(m, v)(a, operands, {begin, end});
            continue;
        }
        for (int64_t p = 0; p < a.table.patterns; ++p) {
            const int64_t first = a.table.first_output[p];
            const Tiles positions(a.table.first_output[p + 1] - first, most_positions(v));
            for (int64_t t = 0; t < positions.tiles; ++t) {
                const int64_t o = first + positions.first(t), m = positions.size(t);
                const int64_t unit = column * outputs + o;
                if (unit < mine.first || unit >= mine.last) continue;
                rows_function<8>(m, v)(a, operands, {o, o + m});
            }
        }
    }
}

static void convolution(const Convolution& a, const float* x, float* y, Share share) {
    if (is_depthwise(a.groups, a.channels, a.rows)) depthwise(a, x, y, share);
    else if (a.lanes == 1) convolution_of_rows(a, x, y, share);
    else convolution_of_lanes(a, x, y, share);
}
