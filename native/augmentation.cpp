// Shares the images of augmentation.hpp out among the threads.
#include "augmentation.hpp"

#include <algorithm>
#include <vector>

#include "processor.hpp"
#include "threads.hpp"

namespace convlet {

#if defined(__x86_64__)
namespace x86_64 {
extern const AugmentationKernels AUGMENTATION_KERNELS;
}
namespace x86_64_v3 {
extern const AugmentationKernels AUGMENTATION_KERNELS;
}
namespace x86_64_v4 {
extern const AugmentationKernels AUGMENTATION_KERNELS;
}
#else
namespace generic {
extern const AugmentationKernels AUGMENTATION_KERNELS;
}
#endif

namespace {

// Less than this is not worth waking a thread: a tenth of a millisecond of warps, five times what
// waking takes. A batch of 32 images of MNIST is shared out by two.
constexpr int64_t UNITS_FOR_A_THREAD = 1 << 14;

// Calls work(first, last) for each thread's images, some for all; `units` floats make an image.
template <class Work>
void for_images(int64_t count, int64_t units, int threads, Work work) {
    const int64_t worthwhile = std::min(count, 1 + count * units / UNITS_FOR_A_THREAD);
    const int parts = static_cast<int>(std::min<int64_t>(threads, worthwhile));
    run_in_threads(parts, [&](int part) {
        work(count * part / parts, count * (part + 1) / parts);
    });
}

int64_t counters_of(int64_t units) { return (units + 3) / 4; }

}  // namespace

const AugmentationKernels& augmentation_kernels_of(const std::string& instruction_set) {
    kernels_of(instruction_set);  // refuses what this machine has not
#if defined(__x86_64__)
    if (instruction_set == "x86-64-v4") return x86_64_v4::AUGMENTATION_KERNELS;
    if (instruction_set == "x86-64-v3") return x86_64_v3::AUGMENTATION_KERNELS;
    return x86_64::AUGMENTATION_KERNELS;
#else
    return generic::AUGMENTATION_KERNELS;
#endif
}

void parameter_words(const AugmentationKernels& kernels, uint64_t seed, uint32_t epoch,
                     const uint32_t* operations, int64_t operation_count, const Images& images,
                     uint32_t* words) {
    for (int64_t o = 0; o < operation_count; ++o)
        for (int64_t i = 0; i < images.count; ++i)
            kernels.random_words({seed, epoch, operations[o]}, images.numbers[i], 2,
                                 words + (o * images.count + i) * 8);
}

void warp(const AugmentationKernels& kernels, const WarpShape& shape, const Smoothing& smoothing,
          const Draw& draw, const Images& images, const float* changes, const float* x, float* y,
          int threads) {
    const int64_t read = shape.height * shape.width * shape.channels;
    const int64_t written = shape.new_height * shape.new_width * shape.channels;
    for_images(images.count, written, threads, [&](int64_t first, int64_t last) {
        std::vector<float> scratch(kernels.warp_scratch(shape, smoothing));
        for (int64_t i = first; i < last; ++i)
            kernels.warp(shape, smoothing, draw, images.numbers[i], changes + i * CHANGES,
                         x + i * read, y + i * written, scratch.data());
    });
}

void add_noise(const AugmentationKernels& kernels, const Draw& draw, const Images& images,
               int64_t units, float stddev, const float* x, float* y, int threads) {
    const int64_t counters = counters_of(units);
    for_images(images.count, units, threads, [&](int64_t first, int64_t last) {
        std::vector<uint32_t> words(4 * counters);
        std::vector<float> noise(units);
        for (int64_t i = first; i < last; ++i) {
            kernels.random_words(draw, images.numbers[i], counters, words.data());
            kernels.normals(words.data(), units, noise.data());
            for (int64_t u = 0; u < units; ++u)
                y[i * units + u] = x[i * units + u] + stddev * noise[u];
        }
    });
}

void erase(const AugmentationKernels& kernels, const Erasing& e, const Draw& draw,
           const Images& images, const int32_t* boxes, float* y, int threads) {
    const int64_t line = e.width * e.channels, units = e.height * line;
    const int64_t counters = counters_of(units);
    for_images(images.count, units, threads, [&](int64_t first, int64_t last) {
        std::vector<uint32_t> words(e.noise ? 4 * counters : 0);
        std::vector<float> values(line, e.value);
        for (int64_t i = first; i < last; ++i) {
            const int32_t* box = boxes + 4 * i;
            const int64_t begin = box[2] * e.channels, count = (box[3] - box[2]) * e.channels;
            if (box[0] >= box[1] || count <= 0) continue;
            if (e.noise) kernels.random_words(draw, images.numbers[i], counters, words.data());
            for (int64_t row = box[0]; row < box[1]; ++row) {
                const int64_t unit = row * line + begin;
                if (e.noise) {
                    kernels.normals(words.data() + unit, count, values.data());
                    for (int64_t u = 0; u < count; ++u)
                        values[u] = std::clamp(values[u] * e.scale, e.low, e.high);
                }
                std::copy_n(values.data(), count, y + i * units + unit);
            }
        }
    });
}

}  // namespace convlet
