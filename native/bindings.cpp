// The Python module convlet._native: names, signatures and conversions, no logic.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "processor.hpp"

namespace nb = nanobind;

NB_MODULE(_native, m) {
    m.doc() = "convlet's C++ core";
    m.attr("version") = CONVLET_VERSION;
    m.attr("compiler") = __VERSION__;
    m.def("available_instruction_sets", &convlet::available_instruction_sets,
          "Instruction sets that this machine can run, worst first.");
    m.def("best_instruction_set", &convlet::best_instruction_set,
          "The best instruction set that this machine can run.");
}
