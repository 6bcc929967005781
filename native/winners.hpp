// Tables and stages for the gradients that follow the winners of a max pooling; the kernels and the
// reason for them are in kernels/winners.hpp.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "plan.hpp"
#include "stages.hpp"
#include "taps.hpp"

namespace convlet {

// Owns what a `Winners` points to: a convolution of one group, and the max pooling behind it.
class WinnerTable {
public:
    WinnerTable(const TapTable& taps, const TapTable& pool, const KernelShape&);
    Winners view() const;

private:
    int64_t channels_, rows_, windows_ = 1, window_taps_ = 1, lines_ = 1, line_, padded_;
    std::vector<int32_t> place_, start_, line_offset_;
};

// `delta` and `winner` are the pooling's.
void winner_kernel_gradient(Plan&, std::string name, const TapTable&, const TapTable& pool,
                            const KernelShape&, int x, int delta, int winner, int gradient);
void winner_input_gradient(Plan&, std::string name, const TapTable&, const TapTable& pool,
                           const KernelShape&, int weights, int delta, int winner, int x_delta);
// Lays out a kernel for `winner_input_gradient` and returns the memory that holds it.
int pack_lines(Plan&, std::string name, int slot, const TapTable&, const KernelShape&);

}  // namespace convlet
