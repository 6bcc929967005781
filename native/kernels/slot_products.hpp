// What happens in the slots of transformed tiles: products of matrices, and sums of products over
// tiles and images.
#pragma once

// --- products ---

template <int M, int V>
static void product_of_lanes(const SlotProduct& a, const float* weights, const float* x,
                             float* y) {
    Vector sums[M][V] = {};
    multiply_lanes<M, V>(sums, weights, a.weight_step, x, a.lanes, a.channels);
    for (int m = 0; m < M; ++m)
        for (int v = 0; v < V; ++v) store(y + m * a.lanes + v * WIDTH, sums[m][v]);
}

// One row of M tiles: where rows are few, one alone would wait for its own sums.
template <int M>
static void product_of_tiles(const SlotProduct& a, const float* weights, const float* x, float* y) {
    Vector sums[M] = {};
    for (int64_t k = 0; k < a.channels; ++k, weights += a.weight_step, x += a.lanes) {
        const Vector weight = broadcast(*weights);
        for (int m = 0; m < M; ++m)
            sums[m] = multiply_add(weight, load(x + m * a.x_step), sums[m]);
    }
    for (int m = 0; m < M; ++m) store(y + m * a.y_step, sums[m]);
}

template <int M, int V>
static void product_of_rows(const SlotProduct& a, const float* weights, const float* x,
                            float* y) {
    Vector sums[M][V] = {};
    int64_t k = 0;
    do {  // at least once: otherwise GCC puts the sums into memory, and a fifth of the time there
        Vector row[V];
        for (int v = 0; v < V; ++v) row[v] = load(weights + k * a.weight_step + v * WIDTH);
        for (int m = 0; m < M; ++m) {
            const Vector value = broadcast(x[m * a.channels + k]);
            for (int v = 0; v < V; ++v) sums[m][v] = multiply_add(value, row[v], sums[m][v]);
        }
    } while (++k < a.channels);
    for (int m = 0; m < M; ++m)
        for (int v = 0; v < V; ++v) store(y + m * a.y_step + v * WIDTH, sums[m][v]);
}

typedef void (*ProductFunction)(const SlotProduct&, const float*, const float*, float*);

template <int M, int V>
INLINE ProductFunction product_of_lanes_function(int64_t m) {
    if constexpr (M > 0)
        return m == M ? product_of_lanes<M, V> : product_of_lanes_function<M - 1, V>(m);
    return nullptr;
}
template <int M, int V>
INLINE ProductFunction product_of_rows_column(int64_t m) {
    if constexpr (M > 0)
        return m == M ? product_of_rows<M, V> : product_of_rows_column<M - 1, V>(m);
    return nullptr;
}
template <int V>
INLINE ProductFunction product_of_rows_function(int64_t m, int64_t v) {
    if constexpr (V > 0)
        return v == V ? product_of_rows_column<V == 1 ? 12 : 6, V>(m)
                      : product_of_rows_function<V - 1>(m, v);
    return nullptr;
}

constexpr int TILES_AT_ONCE = 8;  // sums of few rows, enough to wait for none

static void product_of_few_rows(const SlotProduct& a, const float* weights, const float* x,
                                float* y) {
    const Tiles tiles(a.tiles, TILES_AT_ONCE);
    for (int64_t t = 0; t < tiles.tiles; ++t)
        with_count<TILES_AT_ONCE>(tiles.size(t), [&](auto count) {
            for (int64_t row = 0; row < a.rows; ++row)
                for (int64_t lane = 0; lane < a.lanes; lane += WIDTH)
                    product_of_tiles<count.count>(a, weights + row,
                                                  x + tiles.first(t) * a.x_step + lane,
                                                  y + tiles.first(t) * a.y_step + row * a.lanes +
                                                      lane);
        });
}

// One slot: y[tile][row] = sum over channels of weights[channel][row] * x[tile][channel], the last
// index of x and y being the lane.
static void product_in_slot(const SlotProduct& a, const float* weights, const float* x,
                            float* y) {
    if (a.lanes == 1) {
        const Tiles rows((a.rows + WIDTH - 1) / WIDTH, OUTER_VECTORS);
        const Tiles tiles(a.tiles, a.rows <= WIDTH ? 12 : 6);  // sums enough to wait for none
        for (int64_t r = 0; r < rows.tiles; ++r)
            for (int64_t t = 0; t < tiles.tiles; ++t)
                product_of_rows_function<OUTER_VECTORS>(tiles.size(t), rows.size(r))(
                    a, weights + rows.first(r) * WIDTH, x + tiles.first(t) * a.channels,
                    y + tiles.first(t) * a.y_step + rows.first(r) * WIDTH);
        return;
    }
    const int64_t vectors = vectors_of_lanes(a.lanes), at_once = vectors * WIDTH;
    if (a.rows * vectors < FEWEST_SUMS) return product_of_few_rows(a, weights, x, y);
    const Tiles rows(a.rows, rows_per_tile(a.lanes, 0));
    for (int64_t r = 0; r < rows.tiles; ++r) {
        const int64_t m = rows.size(r);
        const ProductFunction function =
            vectors == 4   ? product_of_lanes_function<6, 4>(m)
            : vectors == 2 ? product_of_lanes_function<REGISTERS == 32 ? 12 : 6, 2>(m)
                           : product_of_lanes_function<16, 1>(m);
        for (int64_t t = 0; t < a.tiles; ++t)
            for (int64_t lane = 0; lane < a.lanes; lane += at_once)
                function(a, weights + rows.first(r), x + t * a.channels * a.lanes + lane,
                         y + t * a.y_step + rows.first(r) * a.lanes + lane);
    }
}

static void slot_product(const SlotProduct& a, const float* weights, const float* x,
                         float* y) {
    for (int64_t s = 0; s < a.slots; ++s)
        product_in_slot(a, weights + s * a.weight_slot, x + s * a.x_slot, y + s * a.y_slot);
}

// --- sums of products over tiles and images ---

template <int I, int V>
static void outer_in_slot(const SlotProduct& a, const float* x, const float* delta,
                          float* gradient) {
    Vector sums[I][V] = {};
    int64_t t = 0;
    do {
        int64_t lane = 0;
        do {
            Vector d[V];
            for (int v = 0; v < V; ++v) d[v] = load(delta + v * WIDTH);
            for (int i = 0; i < I; ++i) {
                const Vector value = broadcast(x[i * a.lanes + lane]);
                for (int v = 0; v < V; ++v) sums[i][v] = multiply_add(value, d[v], sums[i][v]);
            }
            delta += a.y_step;
        } while (++lane < a.lanes);
        x += a.x_step;
    } while (++t < a.tiles);
    for (int i = 0; i < I; ++i)
        for (int v = 0; v < V; ++v) store(gradient + i * a.weight_step + v * WIDTH, sums[i][v]);
}

typedef void (*OuterInSlot)(const SlotProduct&, const float*, const float*, float*);

template <int I, int V>
INLINE OuterInSlot outer_in_slot_column(int64_t i) {
    if constexpr (I > 0) return i == I ? outer_in_slot<I, V> : outer_in_slot_column<I - 1, V>(i);
    return nullptr;
}
template <int V>
INLINE OuterInSlot outer_in_slot_function(int64_t i, int64_t v) {
    if constexpr (V > 0)
        return v == V ? outer_in_slot_column<V == 1 ? 2 * OUTER_VALUES : OUTER_VALUES, V>(i)
                      : outer_in_slot_function<V - 1>(i, v);
    return nullptr;
}

// gradient[channel][row] = sum over tiles and lanes of x[tile][channel][lane] *
// delta[tile][lane][row].
static void slot_outer(const SlotProduct& a, const float* x, const float* delta,
                       float* gradient) {
    const Tiles rows((a.rows + WIDTH - 1) / WIDTH, OUTER_VECTORS);
    const Tiles channels(a.channels, a.rows <= WIDTH ? 2 * OUTER_VALUES : OUTER_VALUES);
    for (int64_t s = 0; s < a.slots; ++s)
        for (int64_t r = 0; r < rows.tiles; ++r)
            for (int64_t c = 0; c < channels.tiles; ++c)
                outer_in_slot_function<OUTER_VECTORS>(channels.size(c), rows.size(r))(
                    a, x + s * a.x_slot + channels.first(c) * a.lanes,
                    delta + s * a.y_slot + rows.first(r) * WIDTH,
                    gradient + s * a.weight_slot + channels.first(c) * a.weight_step +
                        rows.first(r) * WIDTH);
}
