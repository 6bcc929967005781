// Optimizers' steps: all weights of a network in one pass, shared out among the threads.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.hpp"

namespace convlet {

// One weight and what becomes of it; without momentum both velocities are null.
struct Descent {
    const float* value;
    const float* gradient;
    const float* velocity;
    float* new_value;
    float* new_velocity;
    int64_t count;
};

// A step of gradient descent for each weight; returns for each whether all new values are finite.
std::vector<bool> gradient_descent(const Kernels&, const std::vector<Descent>&, float rate,
                                   float momentum, bool nesterov, int threads);

}  // namespace convlet
