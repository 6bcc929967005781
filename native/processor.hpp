// What the processor can do, asked once at run time.
//
// The core is compiled once for each instruction set below and picks the best one that the
// machine has. Nothing here computes; kernels ask `best_instruction_set()` and go.
#pragma once

#include <string>
#include <vector>

namespace convlet {

// Instruction sets that this machine can run, worst first. On x86-64 these are the levels of
// the x86-64 psABI: "x86-64" (SSE2, 4 floats a register), "x86-64-v3" (AVX2 and FMA, 8) and
// "x86-64-v4" (AVX-512 F, BW, CD, DQ, VL, 16). On 64-bit Arm there is one: "aarch64" (NEON, 4).
std::vector<std::string> available_instruction_sets();

// The last of available_instruction_sets().
std::string best_instruction_set();

}  // namespace convlet
