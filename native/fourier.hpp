// Tiles and stages for convolution by the Fourier transform; the kernels and what they compute are in
// kernels/fourier.hpp, and engine/fourier.py decides where it is used and how large tiles are.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "plan.hpp"
#include "stages.hpp"
#include "taps.hpp"

namespace convlet {

// A convolution cut into tiles.
//
// Along an axis with a stride, output o reads through tap s * t + phase the input s * (o + t) + phase:
// a convolution of stride 1 for each phase, as if it were a channel. With a dilation, every d-th
// output and input make up a convolution of their own, a *class*. Backwards, phases are of what is
// written.
class FourierTiles {
public:
    // `points` of a tile along each axis; one more than the taps of a phase at least.
    FourierTiles(const std::vector<Axis>& axes, const std::vector<int64_t>& points, bool transposed);

    FourierGrid grid() const;
    int64_t tiles() const { return static_cast<int64_t>(read_.size()); }
    int64_t phases() const { return static_cast<int64_t>(phases_.size()); }
    // What a tile reads and writes; `phase` is 0 on the side that has none.
    TileView read(int64_t tile, int64_t phase) const;
    TileView written(int64_t tile, int64_t phase) const;
    // The taps of a phase; `reversed` as `pack_tile` leaves them for the way back.
    TileView taps(int64_t phase, bool reversed) const;

private:
    using Triple = std::array<int64_t, 3>;
    static TileView shifted(TileView view, const Triple& phase);
    void cut(const std::array<Axis, 3>& axes, const Triple& points);
    void find_lines(const Triple& points);

    bool transposed_;
    FourierGrid grid_{};
    std::vector<FourierLine> lines_[3];
    std::vector<TileView> read_, written_;
    std::vector<Triple> phases_;
    TileView taps_{}, reversed_taps_{};
};

// Transforms a kernel and returns the memory that holds it.
int fourier_kernel(Plan&, std::string name, int slot, const TapTable&,
                   const std::vector<int64_t>& points, const KernelShape&, bool transposed);
// As `convolution`; pooling is not fused.
void fourier_convolution(Plan&, std::string name, const TapTable&,
                         const std::vector<int64_t>& points, const KernelShape&, bool transposed,
                         int weights, int x, int y, int bias_slot, int residual,
                         const Activation&);
void fourier_kernel_gradient(Plan&, std::string name, const TapTable&,
                             const std::vector<int64_t>& points, const KernelShape&, int x,
                             int delta, int gradient);

}  // namespace convlet
