// Images in and out: from rows of `size` floats, one an image, to blocks and back.
#pragma once

// IN images: [count][size]; OUT block: [size][lanes]. Lanes without an image are zero, or, so that
// whatever is computed from them is as finite as what the images give, repeat the last image.
static void load_images(const float* images, int64_t count, int64_t size, int64_t lanes,
                        float* block, bool repeats, Share share) {
    const Range mine = share_of(size, share);
    if (lanes == 1) {
        memcpy(block + mine.first, images + mine.first, 4 * (mine.last - mine.first));
        return;
    }
    // 16 floats of every image at a time, one cache line each
    for (int64_t start = mine.first; start < mine.last; start += 16) {
        const int64_t end = start + 16 < mine.last ? start + 16 : mine.last;
        for (int64_t lane = 0; lane < count; ++lane)
            for (int64_t i = start; i < end; ++i) block[i * lanes + lane] = images[lane * size + i];
        for (int64_t i = start; i < end; ++i)
            for (int64_t lane = count; lane < lanes; ++lane)
                block[i * lanes + lane] = repeats ? images[(count - 1) * size + i] : 0;
    }
}

// IN block: [size][lanes]; OUT images: [count][size].
static void store_images(const float* block, int64_t count, int64_t size, int64_t lanes,
                         float* images, Share share) {
    const Range mine = share_of(size, share);
    for (int64_t lane = 0; lane < count; ++lane)
        for (int64_t i = mine.first; i < mine.last; ++i)
            images[lane * size + i] = block[i * lanes + lane];
}
