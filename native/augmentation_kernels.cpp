// The kernels of augmentation.hpp, compiled once for each instruction set, as kernels.cpp.
//
// A warp goes along the rows of the new image, a register of pixels at a time: where each comes
// from, the four pixels around that place, and the value between them. A displacement field is
// smoothed along rows and then along columns, four rows of both fields at a time, so that eight
// sums are in flight and each tap is read once for them. An image of 28 x 28 with a field of 25 taps
// took 6.0 us with AVX-512, 7.2 with AVX2 and 10.6 with SSE2 on one core of an AMD EPYC, 2.4 to 5.2 of
// them for the affine part.
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
