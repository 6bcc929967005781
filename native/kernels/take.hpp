// Moving numbers: padding, cropping, upsampling, permuting, and their gradients.
//
// A run of numbers side by side in both images is `numbers * lanes` floats side by side in both
// blocks, so one loop serves any number of lanes. The gradient is the same loop: a number that was
// taken several times is a sum, in the order in which it was taken. Threads share the numbers
// that are written, so no sum depends on them.
#pragma once

// The run that writes a number.
INLINE int64_t run_of(const Moves& a, int64_t number) {
    int64_t low = 0, high = a.runs;
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (a.first[middle] <= number)
            low = middle;
        else
            high = middle;
    }
    return low;
}

// target[i] = the sum of what begins at x + source[0], x + source[1], ...
INLINE void sum_of_runs(const float* x, const int32_t* source, int64_t sources, int64_t lanes,
                        float* target, int64_t count) {
    if (sources == 1) {
        const float* from = x + source[0] * lanes;
        for_vectors(0, count, [&](int64_t i, auto part) { part.write(target + i, part.read(from + i)); });
        return;
    }
    for_vectors(0, count, [&](int64_t i, auto part) {
        Vector sum = part.read(x + source[0] * lanes + i);
        for (int64_t s = 1; s < sources; ++s) sum = sum + part.read(x + source[s] * lanes + i);
        part.write(target + i, sum);
    });
}

static void take(const Moves& a, const float* x, float* y, Share share) {
    const Range mine = share_of(a.first[a.runs], share);
    if (mine.first == mine.last) return;
    for (int64_t r = run_of(a, mine.first); r < a.runs && a.first[r] < mine.last; ++r) {
        const int64_t begin = a.first[r] < mine.first ? mine.first : a.first[r];
        const int64_t end = a.first[r + 1] < mine.last ? a.first[r + 1] : mine.last;
        const int64_t count = (end - begin) * a.lanes;
        const int64_t sources = a.first_source[r + 1] - a.first_source[r];
        float* target = y + begin * a.lanes;
        if (sources == 0)
            for_vectors(0, count, [&](int64_t i, auto part) { part.write(target + i, broadcast(a.fill)); });
        else
            sum_of_runs(x + (begin - a.first[r]) * a.lanes, a.source + a.first_source[r], sources,
                        a.lanes, target, count);
    }
}
