// What several stages need to know of a convolution: its work, and its kernel laid out anew.
#pragma once

#include "plan.hpp"
#include "stages.hpp"
#include "taps.hpp"

namespace convlet {

// Work of one multiply-add for each meeting of output, tap, channel and row, for all images.
double operations_of(const Plan&, const TapTable&, const KernelShape&);

// One tile of rows `first` up to `first + there`: for each product, by taps and then by channels, the
// weights of all its rows side by side, zeros behind the last one. The kernel has Keras's layout,
// [tap][channel][group * rows + row]. Transposed, channels and rows change places and the taps come
// backwards, as the transposed table numbers them.
void pack_tile(const KernelShape&, bool transposed, const float* kernel, int64_t group,
               int64_t first, int64_t there, int64_t wide, float* packed);

}  // namespace convlet
