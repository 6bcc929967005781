// Asks the processor for its instruction sets, through the compiler's own run-time checks: these
// also look at whether the operating system saves the wide registers (XCR0), which a bare CPUID
// does not say.
#include "processor.hpp"

#include <algorithm>
#include <stdexcept>

namespace convlet {

#if defined(__x86_64__)
namespace x86_64 {
extern const Kernels KERNELS;
}
namespace x86_64_v3 {
extern const Kernels KERNELS;
}
namespace x86_64_v4 {
extern const Kernels KERNELS;
}
#else
namespace generic {
extern const Kernels KERNELS;
}
#endif

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

const Kernels& kernels_of(const std::string& instruction_set) {
    const auto sets = available_instruction_sets();
    if (std::find(sets.begin(), sets.end(), instruction_set) == sets.end())
        throw std::invalid_argument("this machine has no instruction set " + instruction_set);
#if defined(__x86_64__)
    if (instruction_set == "x86-64-v4") return x86_64_v4::KERNELS;
    if (instruction_set == "x86-64-v3") return x86_64_v3::KERNELS;
    return x86_64::KERNELS;
#else
    return generic::KERNELS;
#endif
}

}  // namespace convlet
