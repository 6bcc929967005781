// The kernels of augmentation.hpp, compiled once for each instruction set, as kernels.cpp.
//
// A warp goes along the rows of the new image, a register of pixels at a time: where each comes
// from, the four pixels around that place, and the value between them. A displacement field is
// smoothed along rows and then along columns, four rows of both fields at a time, so that eight
// sums are in flight and each tap is read once for them.
#include "augmentation.hpp"

#include <math.h>
#include <string.h>

#include "kernels.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace convlet {
namespace CONVLET_TARGET {

#include "kernels/vector.hpp"
#include "kernels/loops.hpp"
#include "kernels/mathematics.hpp"
#include "kernels/random.hpp"
#include "kernels/warp.hpp"

extern const AugmentationKernels AUGMENTATION_KERNELS;
const AugmentationKernels AUGMENTATION_KERNELS = {warp_scratch, warp, random_words, normals};

}  // namespace CONVLET_TARGET
}  // namespace convlet
