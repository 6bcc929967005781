// Locally connected layers: convolutions whose every output position has weights of its own.
//
//     y[o][r] = sum over taps t, channels c of weight[o, t, c, r] * x[position(o, t)][c]
//
// As in convolution.hpp a tile of sums is kept in registers over the whole of the sum, in the order of
// the taps and then of the channels. A weight is used once for each image, so none is packed: they
// are read where they are, rows side by side. Going back, an input gathers from the outputs that
// read it, through the transposed table. The kernel's gradient is that of kernel_gradient.hpp with
// one set of taps for each output.
#pragma once

// M rows of V vectors of lanes: sums += values[k] * weights[k][row], for `count` products.
template <int M, int V>
INLINE void multiply_rows(Vector (&sums)[M][V], const float* weights, int64_t row_step,
                          int64_t product_step, const float* x, int64_t lanes, int64_t count) {
    for (int64_t k = 0; k < count; ++k) {
        Vector values[V];
        for (int v = 0; v < V; ++v) values[v] = load(x + k * lanes + v * WIDTH);
        for (int m = 0; m < M; ++m) {
            const Vector weight = broadcast(weights[k * product_step + m * row_step]);
            for (int v = 0; v < V; ++v) sums[m][v] = multiply_add(weight, values[v], sums[m][v]);
        }
    }
}

constexpr int LOCAL_ROWS = REGISTERS == 32 ? 8 : 4;

template <int M, int V>
INLINE void store_rows(const Vector (&sums)[M][V], float* y, int64_t lanes) {
    for (int m = 0; m < M; ++m)
        for (int v = 0; v < V; ++v) store(y + m * lanes + v * WIDTH, sums[m][v]);
}

// Calls body(first row, rows as a type, first lane) for tiles of `rows` rows; the vectors of a tile
// are two where the lanes have so many.
template <int V, class Body>
INLINE void for_row_tiles(int64_t rows, int64_t lanes, Body body) {
    const Tiles tiles(rows, LOCAL_ROWS);
    for (int64_t lane = 0; lane < lanes; lane += V * WIDTH)
        for (int64_t t = 0; t < tiles.tiles; ++t)
            with_count<LOCAL_ROWS>(tiles.size(t), [&](auto count) {
                body(tiles.first(t), count, lane);
            });
}

template <int V>
static void local_position(const Local& a, const float* x, float* y, int64_t o) {
    const int64_t step = a.channels * a.lanes;
    const float* weights = a.weights + o * a.table.taps * a.channels * a.rows;
    const float* base = x + a.table.base[o] * step;
    const int32_t pattern = a.table.pattern[o];
    for_row_tiles<V>(a.rows, a.lanes, [&](int64_t row, auto rows, int64_t lane) {
        Vector sums[rows.count][V] = {};
        for (int32_t r = a.table.first_run[pattern]; r < a.table.first_run[pattern + 1]; ++r) {
            const Run run = a.table.runs[r];
            multiply_rows<rows.count, V>(sums, weights + run.tap * a.channels * a.rows + row, 1,
                                         a.rows, base + run.offset * step + lane, a.lanes,
                                         run.taps * a.channels);
        }
        store_rows<rows.count, V>(sums, y + (o * a.rows + row) * a.lanes + lane, a.lanes);
    });
}

// One image: vectors are rows.
static void local_position_of_image(const Local& a, const float* x, float* y, int64_t o) {
    const float* weights = a.weights + o * a.table.taps * a.channels * a.rows;
    const float* base = x + a.table.base[o] * a.channels;
    const int32_t pattern = a.table.pattern[o];
    for_vectors(0, a.rows, [&](int64_t row, auto part) {
        Vector sum = {};
        for (int32_t r = a.table.first_run[pattern]; r < a.table.first_run[pattern + 1]; ++r) {
            const Run run = a.table.runs[r];
            const float* values = base + run.offset * a.channels;
            const float* w = weights + run.tap * a.channels * a.rows + row;
            for (int64_t k = 0; k < run.taps * a.channels; ++k)
                sum = multiply_add(broadcast(values[k]), part.read(w + k * a.rows), sum);
        }
        part.write(y + o * a.rows + row, sum);
    });
}

static void local_convolution(const Local& a, const float* x, float* y, Share share) {
    const Range mine = share_of(a.table.outputs, share);
    for (int64_t o = mine.first; o < mine.last; ++o)
        if (a.lanes == 1) local_position_of_image(a, x, y, o);
        else if (a.lanes % (2 * WIDTH) == 0) local_position<2>(a, x, y, o);
        else local_position<1>(a, x, y, o);
}

// --- the input's gradient; the table is transposed and numbers the taps backwards ---

INLINE const float* local_weights(const Local& a, int64_t output, int32_t reversed) {
    return a.weights + (output * a.table.taps + a.table.taps - 1 - reversed) * a.channels * a.rows;
}

template <int V>
static void local_input(const Local& a, const float* delta, float* x_delta, int64_t i) {
    for_row_tiles<V>(a.channels, a.lanes, [&](int64_t channel, auto channels, int64_t lane) {
        Vector sums[channels.count][V] = {};
        for_taps(a.table, i, [&](int64_t output, int32_t reversed) {
            multiply_rows<channels.count, V>(
                sums, local_weights(a, output, reversed) + channel * a.rows, a.rows, 1,
                delta + output * a.rows * a.lanes + lane, a.lanes, a.rows);
        });
        float* target = x_delta + (i * a.channels + channel) * a.lanes + lane;
        store_rows<channels.count, V>(sums, target, a.lanes);
    });
}

static void local_input_of_image(const Local& a, const float* delta, float* x_delta, int64_t i) {
    for (int64_t c = 0; c < a.channels; ++c) {
        Vector total = {};
        for_taps(a.table, i, [&](int64_t output, int32_t reversed) {
            const float* w = local_weights(a, output, reversed) + c * a.rows;
            for_vectors(0, a.rows, [&](int64_t r, auto part) {
                total = multiply_add(part.read(delta + output * a.rows + r), part.read(w + r), total);
            });
        });
        x_delta[i * a.channels + c] = sum(total);
    }
}

static void local_input_gradient(const Local& a, const float* delta, float* x_delta, Share share) {
    const Range mine = share_of(a.table.outputs, share);
    for (int64_t i = mine.first; i < mine.last; ++i)
        if (a.lanes == 1) local_input_of_image(a, delta, x_delta, i);
        else if (a.lanes % (2 * WIDTH) == 0) local_input<2>(a, delta, x_delta, i);
        else local_input<1>(a, delta, x_delta, i);
}
