// Makes the tables of winners.hpp, and its stages.
#include "winners.hpp"

#include <algorithm>
#include <utility>

namespace convlet {
namespace {

// What the input gradient sorts at a time: deltas, 16 KB of them, and windows.
constexpr int64_t MEETINGS_AT_ONCE = 1024;
constexpr int64_t WINDOWS_AT_ONCE = 64;

}  // namespace

WinnerTable::WinnerTable(const TapTable& taps, const TapTable& pool, const KernelShape& shape)
    : channels_(shape.channels), rows_(shape.rows) {
    const std::vector<Axis>&conv = taps.axes(), &window = pool.axes();
    const size_t rank = conv.size();
    std::vector<int64_t> sizes, kernel, windows, window_taps, step(rank);
    int64_t padded = shape.channels;
    for (size_t a = rank; a-- > 0;) {
        const Axis& axis = conv[a];
        const int64_t reach = (axis.outputs - 1) * axis.stride + (axis.taps - 1) * axis.dilation + 1;
        step[a] = padded;
        padded *= std::max(axis.begin + axis.size, reach);
    }
    for (size_t a = 0; a < rank; ++a) {
        sizes.push_back(conv[a].size);
        kernel.push_back(a + 1 < rank ? conv[a].taps : 1);
        windows.push_back(window[a].outputs);
        window_taps.push_back(window[a].taps);
        windows_ *= window[a].outputs;
        window_taps_ *= window[a].taps;
        lines_ *= kernel.back();
    }
    padded_ = padded;
    line_ = conv[rank - 1].taps * shape.channels;
    for_grid(sizes, [&](const std::vector<int64_t>& position) {
        int64_t place = 0;
        for (size_t a = 0; a < rank; ++a) place += (position[a] + conv[a].begin) * step[a];
        place_.push_back(static_cast<int32_t>(place));
    });
    for_grid(kernel, [&](const std::vector<int64_t>& tap) {
        int64_t offset = 0;
        for (size_t a = 0; a < rank; ++a) offset += tap[a] * conv[a].dilation * step[a];
        line_offset_.push_back(static_cast<int32_t>(offset));
    });
    for_grid(windows, [&](const std::vector<int64_t>& w) {
        for_grid(window_taps, [&](const std::vector<int64_t>& tap) {
            int64_t start = 0;
            for (size_t a = 0; a < rank; ++a) {
                const Axis& axis = window[a];
                const int64_t o = w[a] * axis.stride + tap[a] * axis.dilation - axis.begin;
                // a tap that meets padding never wins
                start += std::clamp<int64_t>(o, 0, axis.size - 1) * conv[a].stride * step[a];
            }
            start_.push_back(static_cast<int32_t>(start));
        });
    });
}

Winners WinnerTable::view() const {
    Winners a{};
    a.channels = channels_;
    a.rows = rows_;
    a.positions = static_cast<int64_t>(place_.size());
    a.padded = padded_;
    a.place = place_.data();
    a.lines = lines_;
    a.line = line_;
    a.line_offset = line_offset_.data();
    a.windows = windows_;
    a.window_taps = window_taps_;
    a.start = start_.data();
    a.windows_at_once = std::clamp<int64_t>(MEETINGS_AT_ONCE / rows_, 1, WINDOWS_AT_ONCE);
    return a;
}

namespace {

Winners winners_of(const Plan& plan, const WinnerTable& table) {
    const int64_t width = plan.kernels().width;
    Winners a = table.view();
    a.lanes = plan.lanes();
    a.line_step = (a.line + width - 1) / width * width;
    return a;
}

Winners winners_of(const Call& call, const WinnerTable& table, int winner) {
    Winners a = winners_of(call.plan, table);
    a.winner = call.buffer<uint8_t>(winner);
    return a;
}

double operations_of(const Plan& plan, const Winners& a) {
    return 2.0 * a.windows * a.rows * a.lines * a.line * plan.images();
}

}  // namespace

void winner_kernel_gradient(Plan& plan, std::string name, const TapTable& taps,
                            const TapTable& pool, const KernelShape& shape, int x, int delta,
                            int winner, int gradient) {
    const auto table = std::make_shared<const WinnerTable>(taps, pool, shape);
    const Winners a = winners_of(plan, *table);
    plan.need_workspace(4 * a.padded * plan.lanes());
    plan.add(name + ": to images", 0, [=](const Call& call) {
        call.plan.kernels().block_to_padded(winners_of(call, *table, winner), call.buffer(x),
                                            call.workspace, call.share);
    });
    plan.add(std::move(name), operations_of(plan, a), [=](const Call& call) {
        call.plan.kernels().winner_kernel_gradient(winners_of(call, *table, winner),
                                                   call.workspace, call.buffer(delta),
                                                   call.plan.gradient(gradient, call), call.share);
    });
}

void winner_input_gradient(Plan& plan, std::string name, const TapTable& taps,
                           const TapTable& pool, const KernelShape& shape, int weights, int delta,
                           int winner, int x_delta) {
    const auto table = std::make_shared<const WinnerTable>(taps, pool, shape);
    const Winners a = winners_of(plan, *table);
    const int64_t meetings = a.windows_at_once * a.rows;
    const int64_t ends = a.windows_at_once * (a.window_taps + 1);
    plan.need_workspace(4 * a.padded * plan.lanes());
    plan.need_scratch(sizeof(Meeting) * meetings + sizeof(int64_t) * ends);
    plan.add(name, operations_of(plan, a), [=](const Call& call) {
        Meeting* sorted = reinterpret_cast<Meeting*>(call.scratch);
        call.plan.kernels().winner_input_gradient(
            winners_of(call, *table, winner), call.plan.memory(weights), call.buffer(delta),
            call.workspace, sorted, reinterpret_cast<int64_t*>(sorted + meetings), call.share);
    });
    plan.add(name + ": to blocks", 0, [=](const Call& call) {
        call.plan.kernels().padded_to_block(winners_of(call, *table, winner), call.workspace,
                                            call.buffer(x_delta), call.share);
    });
}

int pack_lines(Plan& plan, std::string name, int slot, const TapTable& taps,
               const KernelShape& shape) {
    const int64_t width = plan.kernels().width;
    const int64_t line = taps.axes().back().taps * shape.channels;
    const int64_t lines = shape.taps * shape.channels / line;
    const int64_t line_step = (line + width - 1) / width * width;  // zeros behind each line
    const int memory = plan.add_memory(lines * shape.rows * line_step);
    plan.add(std::move(name), 0, [=](const Call& call) {
        const float* kernel = call.slot(slot);
        for (int64_t l = call.share.part; l < lines; l += call.share.parts)
            for (int64_t j = 0; j < line_step; ++j) {
                float* packed = call.plan.memory(memory) + l * shape.rows * line_step + j;
                for (int64_t row = 0; row < shape.rows; ++row)
                    packed[row * line_step] =
                        j < line ? kernel[(l * line + j) * shape.rows + row] : 0.0f;
            }
    });
    return memory;
}

}  // namespace convlet
