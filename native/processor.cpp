// Asks the processor for its instruction sets, through the compiler's own run-time checks: these
// also look at whether the operating system saves the wide registers (XCR0), which a bare CPUID
// does not say.
#include "processor.hpp"

namespace convlet {

std::vector<std::string> available_instruction_sets() {
#if defined(__x86_64__)
    std::vector<std::string> sets{"x86-64"};
    __builtin_cpu_init();
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi2");
    if (!v3) return sets;
    sets.emplace_back("x86-64-v3");
    const bool v4 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
    if (v4) sets.emplace_back("x86-64-v4");
    return sets;
#elif defined(__aarch64__)
    return {"aarch64"};
#else
    return {"generic"};
#endif
}

std::string best_instruction_set() { return available_instruction_sets().back(); }

}  // namespace convlet
