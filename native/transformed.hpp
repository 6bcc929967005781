// Tiles and stages for convolution by the Fourier transform or by Winograd's filtering; the kernels
// and what they compute are in kernels/fourier.hpp and kernels/winograd.hpp, and
// engine/transforms.py decides where they are used and how large tiles are.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "plan.hpp"
#include "stages.hpp"
#include "taps.hpp"

namespace convlet {

// How tiles are transformed, and the points of one along each axis: more than the taps of a phase.
struct Transform {
    bool is_fourier;
    std::vector<int64_t> points;
};

// A convolution cut into tiles.
//
// Along an axis with a stride, output o reads through tap s * t + phase the input s * (o + t) +
// phase: a convolution of stride 1 for each phase, as if it were a channel. With a dilation, every
// d-th output and input make up a convolution of their own, a *class*. Backwards, phases are of
// what is written.
class Tiling {
public:
    Tiling(const std::vector<Axis>& axes, const Transform&, bool transposed);

    TileGrid grid() const;
    int64_t tiles() const { return static_cast<int64_t>(y_places_.size()); }
    int64_t phases() const { return static_cast<int64_t>(phases_.size()); }
    const TileView& reads() const { return transposed_ ? y_view_ : x_view_; }
    const TileView& writes() const { return transposed_ ? x_view_ : y_view_; }
    // Where tiles read and write; `phase` is 0 on the side that has none.
    TilePlaces read(int64_t first, int64_t last, int64_t phase) const;
    TilePlaces written(int64_t first, int64_t last, int64_t phase) const;
    const TileView& taps() const { return tap_view_; }
    // The taps of a phase lie from this one on; those of one phase may be fewer than of another.
    TilePlace first_tap(int64_t phase) const;
    TileView kernel_tile() const;
    // Which tap number `n` of a phase is, in the order in which it is met, or -1 where there is
    // none.
    int64_t tap(int64_t n, int64_t phase) const;

private:
    using Triple = std::array<int64_t, 3>;
    void cut(const std::array<Axis, 3>& axes, const Triple& points);
    void add_tile(const TilePlace& x, const TilePlace& y);
    TilePlaces of_x(int64_t first, int64_t last, int64_t phase) const;
    TilePlaces of_y(int64_t first, int64_t last) const;
    void find_lines(const std::array<Axis, 3>& axes, const Triple& points);
    std::vector<TileLine> behind(const TileLine& line, int32_t points, int32_t step) const;

    bool transposed_;
    TileGrid grid_{};
    std::vector<TileLine> lines_[3];
    TileView x_view_{}, y_view_{}, tap_view_{};
    std::vector<TilePlace> x_places_, y_places_;  // x has one for each phase
    std::vector<Triple> phases_;
};

// Transforms a kernel and returns the memory that holds it.
int transformed_kernel(Plan&, std::string name, int slot, const TapTable&,
                       const Transform&, const KernelShape&, bool transposed);
// As `convolution`; pooling is not fused.
void transformed_convolution(Plan&, std::string name, const TapTable&,
                             const Transform&, const KernelShape&, bool transposed,
                             int weights, int x, int y, int bias_slot, int residual,
                             const Activation&);
void transformed_kernel_gradient(Plan&, std::string name, const TapTable&,
                                 const Transform&, const KernelShape&, int x,
                                 int delta, int gradient);

}  // namespace convlet
