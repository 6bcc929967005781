// The gradients of a convolution behind which a max pooling kept one value of each window.
//
// Going back, all but that winner have a delta of zero: of four outputs of a 2 x 2 window, three
// add nothing to either gradient. Which one wins differs from image to image, so vectors of images
// cannot leave the others out. Here images stand one by one, as *padded images*: the usual order
// [position][channel], with the convolution's padding around them as zeros, so that whatever a
// winner reads is whole *lines* of the kernel, `line` floats (taps of the last axis by channels)
// that are neighbours both in the image and in the kernel's gradient:
//
//     gradient[l][j][r] += delta * image[start of winner + offset of l + j]
//     image's delta[start of winner + offset of l + j] += delta * kernel[l][j][r]
//
// Vectors run along a line. A *meeting* is a delta with the place it meets; those that are zero, as
// behind an idle relu, are left out as well, so zero times infinity adds nothing here.
//
// LeNet's second convolution, a step of 500 images on two threads: both gradients took 15.4 ms with
// every delta, spread out to vectors of images, and take 8.5 ms this way (docs/experiments.md).
// engine/fusion.py decides where it pays.
#pragma once

constexpr int LINE_VECTORS = REGISTERS == 32 ? 16 : 8;  // sums of a line that are in registers
constexpr int64_t MEETINGS = 1024;  // that the kernel gradient makes at a time: 16 KB

// --- images: [lane][padded] <-> block: [position][channel][lane] ---

static void block_to_padded(const Winners& a, const float* block, float* images, Share share) {
    const Range mine = share_of(a.lanes, share);
    if (a.padded > a.positions * a.channels)
        memset(images + mine.first * a.padded, 0, 4 * a.padded * (mine.last - mine.first));
    for (int64_t p = 0; p < a.positions; ++p)
        for (int64_t lane = mine.first; lane < mine.last; ++lane) {
            const float* from = block + p * a.channels * a.lanes + lane;
            float* to = images + lane * a.padded + a.place[p];
            for (int64_t c = 0; c < a.channels; ++c) to[c] = from[c * a.lanes];
        }
}

static void padded_to_block(const Winners& a, const float* images, float* block, Share share) {
    const Range mine = share_of(a.positions, share);
    for (int64_t p = mine.first; p < mine.last; ++p)
        for (int64_t lane = 0; lane < a.lanes; ++lane) {
            const float* from = images + lane * a.padded + a.place[p];
            float* to = block + p * a.channels * a.lanes + lane;
            for (int64_t c = 0; c < a.channels; ++c) to[c * a.lanes] = from[c];
        }
}

// --- pieces of lines ---

// sums += over meetings of delta * (N vectors from `operand` on, at the meeting's place).
template <int N>
INLINE void add_meetings(const Meeting* meetings, int64_t count, const float* operand,
                         Vector (&sums)[N]) {
    for (int64_t m = 0; m < count; ++m) {
        const float* values = operand + meetings[m].place;
        const Vector delta = broadcast(meetings[m].delta);
        for (int v = 0; v < N; ++v)
            sums[v] = multiply_add(delta, load(values + v * WIDTH), sums[v]);
    }
}

// Calls body(first float, floats, vectors as a type) for the pieces of a line that fit the registers.
template <class Body>
INLINE void for_pieces(int64_t line, Body body) {
    const Tiles pieces((line + WIDTH - 1) / WIDTH, LINE_VECTORS);
    for (int64_t i = 0; i < pieces.tiles; ++i) {
        const int64_t first = pieces.first(i) * WIDTH, wide = pieces.size(i) * WIDTH;
        with_count<LINE_VECTORS>(pieces.size(i), [&](auto vectors) {
            body(first, first + wide < line ? wide : line - first, vectors);
        });
    }
}

// --- the kernel's gradient ---

static void add_to_kernel_gradient(const Winners& a, const Meeting* meetings, int64_t count,
                                   const float* images, int64_t row, float* gradient) {
    for (int64_t l = 0; l < a.lines; ++l)
        for_pieces(a.line, [&](int64_t first, int64_t floats, auto vectors) {
            Vector sums[vectors.count] = {};
            add_meetings(meetings, count, images + a.line_offset[l] + first, sums);
            float* target = gradient + (l * a.line + first) * a.rows + row;
            for (int64_t j = 0; j < floats; ++j)
                target[j * a.rows] += sums[j / WIDTH][j % WIDTH];
        });
}

// gradient[tap][channel][row], summed up image by image.
static void winner_kernel_gradient(const Winners& a, const float* images, const float* delta,
                                   float* gradient, Share share) {
    const Range mine = share_of(a.rows, share);
    Meeting meetings[MEETINGS];
    for (int64_t row = mine.first; row < mine.last; ++row) {
        int64_t count = 0;
        for (int64_t lane = 0; lane < a.lanes; ++lane)
            for (int64_t w = 0; w < a.windows; ++w) {
                const int64_t i = (w * a.rows + row) * a.lanes + lane;
                const int64_t start = a.start[w * a.window_taps + a.winner[i]];
                meetings[count] = {lane * a.padded + start, delta[i]};
                count += delta[i] != 0;
                if (count < MEETINGS) continue;
                add_to_kernel_gradient(a, meetings, count, images, row, gradient);
                count = 0;
            }
        if (count) add_to_kernel_gradient(a, meetings, count, images, row, gradient);
    }
}

// --- the input's gradient ---

// The deltas of a window of one image, sorted by the tap that won: `meetings` gets the rows' places
// in the packed kernel, `ends[tap]` where a tap's end.
static void sort_by_winner(const Winners& a, int64_t window, int64_t lane, const float* delta,
                           int64_t row_step, Meeting* meetings, int64_t* ends) {
    const float* deltas = delta + window * a.rows * a.lanes + lane;
    const uint8_t* winners = a.winner + window * a.rows * a.lanes + lane;
    memset(ends, 0, sizeof(int64_t) * (a.window_taps + 1));
    for (int64_t r = 0; r < a.rows; ++r)
        ends[winners[r * a.lanes] + 1] += deltas[r * a.lanes] != 0;
    for (int64_t tap = 1; tap < a.window_taps; ++tap) ends[tap] += ends[tap - 1];
    for (int64_t r = 0; r < a.rows; ++r)
        if (deltas[r * a.lanes] != 0)
            meetings[ends[winners[r * a.lanes]]++] = {r * row_step, deltas[r * a.lanes]};
}

// Meetings of the windows from `first` on, sorted by window and winner.
struct SortedMeetings {
    const Meeting* meetings;
    const int64_t* ends;
    int64_t first, windows;
};

// Adds one line of the kernel to an image, for all windows and winners.
static void add_line(const Winners& a, const SortedMeetings& sorted, const float* weights,
                     float* image) {
    for_pieces(a.line, [&](int64_t j, int64_t floats, auto vectors) {
        const int64_t left = floats - (vectors.count - 1) * WIDTH;
        const int64_t* end = sorted.ends;
        for (int64_t w = 0; w < sorted.windows; ++w, ++end) {
            const Meeting* meetings = sorted.meetings + w * a.rows;
            const int32_t* start = a.start + (sorted.first + w) * a.window_taps;
            int64_t begin = 0;
            for (int64_t tap = 0; tap < a.window_taps; begin = *end++, ++tap) {
                if (begin == *end) continue;
                Vector sums[vectors.count] = {};
                add_meetings(meetings + begin, *end - begin, weights + j, sums);
                float* target = image + start[tap] + j;
                for (int v = 0; v < vectors.count; ++v, target += WIDTH)
                    if (v + 1 < vectors.count || floats == vectors.count * WIDTH)
                        store(target, load(target) + sums[v]);
                    else store_first(target, load_first(target, left) + sums[v], left);
            }
        }
    });
}

// weights: [line][row][line_step]. A line of the kernel stays in the L1 cache for all windows.
static void winner_input_gradient(const Winners& a, const float* weights, const float* delta,
                                  float* images, Meeting* meetings, int64_t* ends, Share share) {
    const Range mine = share_of(a.lanes, share);
    for (int64_t lane = mine.first; lane < mine.last; ++lane) {
        float* image = images + lane * a.padded;
        memset(image, 0, 4 * a.padded);
        for (int64_t first = 0; first < a.windows; first += a.windows_at_once) {
            const int64_t left = a.windows - first;
            const int64_t windows = left < a.windows_at_once ? left : a.windows_at_once;
            for (int64_t w = 0; w < windows; ++w)
                sort_by_winner(a, first + w, lane, delta, a.line_step, meetings + w * a.rows,
                               ends + w * (a.window_taps + 1));
            for (int64_t l = 0; l < a.lines; ++l)
                add_line(a, {meetings, ends, first, windows}, weights + l * a.rows * a.line_step,
                         image + a.line_offset[l]);
        }
    }
}
