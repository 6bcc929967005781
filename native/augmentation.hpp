// Augmentation: distorted copies of the images of a batch, shared out among the threads.
//
// Everything that is drawn is a function of seed, epoch, operation, the image's number in the data
// set and the place inside it, so an image's distortion depends neither on its batch nor on the
// threads. convlet/ops/warp.py is the reference. The kernels are compiled once for each instruction
// set, as those of kernels.hpp.
#pragma once

#include <cstdint>
#include <string>

namespace convlet {

// What a random word is a function of, besides the image and the place.
struct Draw {
    uint64_t seed;
    uint32_t epoch, operation;
};

// What stands beyond the border: one value, the nearest pixel, the image mirrored, the image again.
enum class FillMode { constant, nearest, reflect, wrap };

// A batch of images `[row][column][channel]`; the distorted ones may have another size.
struct WarpShape {
    int64_t height, width, channels;
    int64_t new_height, new_width;
    FillMode fill_mode;
    float fill_value;
    bool nearest;  // take the nearest pixel instead of going between four
};

// A Gaussian by which displacements are smoothed: 2 radius + 1 taps, or no field for a null pointer.
struct Smoothing {
    const float* taps;
    int64_t radius;
};

constexpr int CHANGES = 10;  // numbers that describe an image's warp

struct AugmentationKernels {
    // Floats of scratch that `warp` wants; it must be zero at the first call.
    int64_t (*warp_scratch)(const WarpShape&, const Smoothing&);
    // The pixel of y at place p comes from p + change p + shift + mix d(p) in x. `changes` holds,
    // for rows and then columns, the two numbers of change and the shift, and then mix by rows.
    void (*warp)(const WarpShape&, const Smoothing&, const Draw&, uint32_t image,
                 const float* changes, const float* x, float* y, float* scratch);
    // Four words for each counter; word k of counter j is `words[k * counters + j]`.
    void (*random_words)(const Draw&, uint32_t image, int64_t counters, uint32_t* words);
    // Standard normal numbers from words.
    void (*normals)(const uint32_t* words, int64_t count, float* y);
};
const AugmentationKernels& augmentation_kernels_of(const std::string& instruction_set);

// Each of these handles `images`, `count` numbers of the data set, at once.
struct Images {
    const uint32_t* numbers;
    int64_t count;
};

// Eight words for each operation and image, `[operation][image][word]`.
void parameter_words(const AugmentationKernels&, uint64_t seed, uint32_t epoch,
                     const uint32_t* operations, int64_t operation_count, const Images&,
                     uint32_t* words);
void warp(const AugmentationKernels&, const WarpShape&, const Smoothing&, const Draw&,
          const Images&, const float* changes, const float* x, float* y, int threads);
// y = x plus normal numbers; `units` floats make an image.
void add_noise(const AugmentationKernels&, const Draw&, const Images&, int64_t units, float stddev,
               const float* x, float* y, int threads);

// Where images are erased: rows and columns `first_row, last_row, first_column, last_column`, the
// last ones outside. With noise, normal numbers times `scale` instead of `value`, cut to [low, high].
struct Erasing {
    int64_t height, width, channels;
    bool noise;
    float value, scale, low, high;
};
void erase(const AugmentationKernels&, const Erasing&, const Draw&, const Images&,
           const int32_t* boxes, float* y, int threads);

}  // namespace convlet
