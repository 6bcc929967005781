// All kernels, compiled once for each instruction set: CMakeLists.txt gives the compiler's flags,
// CONVLET_TARGET, the namespace they live in, and CONVLET_NAME, the set's name. One file for each
// family of operators is included below, inside that namespace: nothing inline may be shared
// between instruction sets.
#include "kernels.hpp"

#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace convlet {
namespace CONVLET_TARGET {

#include "kernels/vector.hpp"
#include "kernels/loops.hpp"
#include "kernels/images.hpp"
#include "kernels/mathematics.hpp"
#include "kernels/random.hpp"
#include "kernels/activations.hpp"
#include "kernels/pooling.hpp"
#include "kernels/depthwise.hpp"
#include "kernels/convolution.hpp"
#include "kernels/kernel_gradient.hpp"
#include "kernels/tile_access.hpp"
#include "kernels/fourier.hpp"
#include "kernels/winograd.hpp"
#include "kernels/transform_tiles.hpp"
#include "kernels/slot_products.hpp"
#include "kernels/winners.hpp"
#include "kernels/local.hpp"
#include "kernels/take.hpp"
#include "kernels/softmax.hpp"
#include "kernels/losses.hpp"
#include "kernels/elementwise.hpp"
#include "kernels/merging.hpp"
#include "kernels/noise.hpp"
#include "kernels/normalization.hpp"
#include "kernels/set_normalization.hpp"
#include "kernels/window_reductions.hpp"
#include "kernels/optimizers.hpp"
#include "kernels/rules.hpp"

extern const Kernels KERNELS;
const Kernels KERNELS = {
    CONVLET_NAME,
    WIDTH,
    rows_per_tile,
    load_images,
    store_images,
    convolution,
    kernel_gradient,
    transform_tiles,
    transform_tile_by_lanes,
    write_tiles,
    add_tile,
    slot_product,
    slot_outer,
    bias_gradient,
    block_to_padded,
    padded_to_block,
    winner_kernel_gradient,
    winner_input_gradient,
    local_convolution,
    local_input_gradient,
    max_pool,
    max_pool_gradient,
    average_pool,
    average_pool_gradient,
    l2_pool,
    l2_pool_gradient,
    log_sum_exp_pool,
    log_sum_exp_pool_gradient,
    stochastic_pool,
    stochastic_pool_mean,
    stochastic_pool_mean_gradient,
    activation,
    activation_gradient,
    softmax,
    softmax_gradient,
    loss,
    add_bias,
    add,
    multiply,
    extremum,
    extremum_gradient,
    copy_runs,
    take,
    rescale,
    normalize,
    scale,
    scale_gradient,
    block_moments,
    block_gradient_sums,
    combine,
    standardize,
    standardize_gradient,
    local_response_normalization,
    local_response_normalization_gradient,
    dropout,
    spatial_dropout,
    gaussian_noise,
    add_up,
    optimizer_step,
    sum_of_squares,
};

}  // namespace CONVLET_TARGET
}  // namespace convlet
