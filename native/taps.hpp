// The tap table of a window that slides over a grid of any rank, in the three ways kernels read it.
//
// Forward: for each output the inputs it reads. Transposed: for each input the outputs that read
// it, with the taps numbered backwards, so that both lists run forwards through memory. By tap:
// for each kernel element the outputs that meet it. The grid is a product of axes, and so are
// patterns: interior positions share one, only borders have their own.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "kernels.hpp"

namespace convlet {

// One axis, as ops/taps.py has it: output o reads through tap t the input o * stride + t * dilation
// - begin.
struct Axis {
    int64_t size, taps, stride, dilation, begin, outputs;
};

// Calls visit(index) for every index below `sizes`, in row-major order.
template <class Visit>
void for_grid(const std::vector<int64_t>& sizes, Visit visit) {
    for (const int64_t size : sizes)
        if (size == 0) return;
    std::vector<int64_t> index(sizes.size(), 0);
    while (true) {
        visit(index);
        size_t axis = sizes.size();
        while (axis > 0 && ++index[axis - 1] == sizes[axis - 1]) index[--axis] = 0;
        if (axis == 0) return;
    }
}

// Owns what a `Gather` points to.
class GatherTable {
public:
    // `merge`: whether neighbouring taps that read neighbouring positions become one run, which is
    // possible where all channels are read.
    GatherTable(const std::vector<Axis>& axes, bool transposed, bool merge);
    Gather view() const;
    // How many times an output reads an input, over all outputs and taps.
    int64_t meetings() const;

private:
    void sort_outputs();
    void cut_into_lines();

    int64_t inputs_ = 1, taps_ = 1;
    std::vector<int32_t> pattern_, base_, first_run_, order_, first_output_, first_line_;
    std::vector<Run> runs_;
    std::vector<Line> lines_;
};

// The first of some outputs along an axis, and the one behind the last.
using Interval = std::pair<int64_t, int64_t>;

// Owns what some `TapSet`s point to.
class TapSets {
public:
    // Merged, neighbouring taps are one run. In rows, the outputs that meet all taps along the last
    // axis are a set of their own, so that these are one run also where the borders meet fewer.
    TapSets(const std::vector<Axis>& axes, bool merge, bool in_rows);
    // One set for each output that reads something.
    explicit TapSets(const Gather&);
    std::vector<TapSet> view() const;

private:
    struct Set {
        std::vector<int32_t> output, base;
        std::vector<Run> runs;
    };
    static Set set_of(const std::vector<Axis>&, const std::vector<Interval>&);
    std::vector<Set> sets_;
};

// A window on a grid; makes each of its tables when it is first asked for, and keeps it.
class TapTable {
public:
    explicit TapTable(std::vector<Axis> axes) : axes_(std::move(axes)) {}
    const std::vector<Axis>& axes() const { return axes_; }
    std::shared_ptr<const GatherTable> gather(bool transposed, bool merge) const;
    std::shared_ptr<const TapSets> sets(bool merge, bool in_rows) const;
    std::shared_ptr<const TapSets> sets_of_outputs() const;

private:
    std::vector<Axis> axes_;
    mutable std::shared_ptr<const GatherTable> gathers_[4];
    mutable std::shared_ptr<const TapSets> sets_[4];
};

}  // namespace convlet
