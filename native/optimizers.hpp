// Optimizers' steps: all weights of a network in one pass, shared out among the threads.
#pragma once

#include <vector>

#include "kernels.hpp"

namespace convlet {

// Which norm of the gradients may be no larger than a limit: none, each weight's, that of all.
enum class NormClip : int32_t { none, each, all };

// A step for each weight; returns for each whether it, and what is remembered of it, is finite. With
// a clip, the gradients are gone through before, and the weights' `gradient_scale` is set.
std::vector<bool> optimizer_step(const Kernels&, const Step&, std::vector<WeightArrays>&, NormClip,
                                 double largest_norm, int threads);

}  // namespace convlet
