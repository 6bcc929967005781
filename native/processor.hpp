// What the processor can do, asked once at run time, and the kernels that were compiled for it.
//
// The kernels are compiled once for each instruction set below; the best one that the machine has
// is the default.
#pragma once

#include <string>
#include <vector>

#include "kernels.hpp"

namespace convlet {

// Instruction sets that this machine can run, worst first. On x86-64 these are the levels of
// the x86-64 psABI: "x86-64" (SSE2, 4 floats a register), "x86-64-v3" (AVX2 and FMA, 8) and
// "x86-64-v4" (AVX-512 F, BW, CD, DQ, VL, 16). On 64-bit Arm there is one: "aarch64" (NEON, 4).
std::vector<std::string> available_instruction_sets();

// The last of available_instruction_sets().
std::string best_instruction_set();

// The kernels for one of available_instruction_sets(); std::invalid_argument for any other.
const Kernels& kernels_of(const std::string& instruction_set);

}  // namespace convlet
