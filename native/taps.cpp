// Builds the tables of taps.hpp: axis by axis, then as products. What convolutions and poolings
// compute through them is held against convlet.ops.TapTable, in tests/engine.
#include "taps.hpp"

#include <algorithm>
#include <map>

namespace convlet {
namespace {

// What a position reads along one axis: taps, and coordinates relative to the first one read.
using Reads = std::vector<std::pair<int64_t, int64_t>>;

// One axis seen from one side: each position's pattern of reads, and where it begins.
struct AxisReads {
    std::vector<Reads> patterns;
    std::vector<int64_t> pattern, base;
    int64_t others;  // positions on the other side
};

int64_t divided_up(int64_t a, int64_t b) { return a / b + (a % b > 0); }

// The taps t from `first` up to `last` whose input distance + t * dilation exists.
void taps_that_meet(const Axis& axis, int64_t distance, int64_t* first, int64_t* last) {
    *first = std::max<int64_t>(0, divided_up(-distance, axis.dilation));
    *last = distance >= axis.size
                ? 0
                : std::min(axis.taps, (axis.size - 1 - distance) / axis.dilation + 1);
}

// Output o reads the inputs o * stride + t * dilation - begin that exist.
Reads reads_of_output(const Axis& axis, int64_t o) {
    Reads reads;
    int64_t first, last;
    const int64_t distance = o * axis.stride - axis.begin;
    taps_that_meet(axis, distance, &first, &last);
    for (int64_t t = first; t < last; ++t) reads.emplace_back(t, distance + t * axis.dilation);
    return reads;
}

// Input i is read by the outputs (i + begin - t * dilation) / stride that exist.
Reads readers_of_input(const Axis& axis, int64_t i) {
    Reads reads;
    const int64_t place = i + axis.begin, reach = place - (axis.outputs - 1) * axis.stride;
    const int64_t first = std::max<int64_t>(0, divided_up(reach, axis.dilation));
    const int64_t last = place < 0 ? -1 : std::min(axis.taps - 1, place / axis.dilation);
    for (int64_t t = last; t >= first; --t) {
        const int64_t distance = place - t * axis.dilation;
        if (distance % axis.stride == 0)
            reads.emplace_back(axis.taps - 1 - t, distance / axis.stride);
    }
    return reads;
}

AxisReads reads_of_axis(const Axis& axis, bool transposed) {
    AxisReads result;
    result.others = transposed ? axis.outputs : axis.size;
    std::map<Reads, int64_t> known;
    for (int64_t p = 0; p < (transposed ? axis.size : axis.outputs); ++p) {
        Reads reads = transposed ? readers_of_input(axis, p) : reads_of_output(axis, p);
        const int64_t base = reads.empty() ? 0 : reads.front().second;
        for (auto& read : reads) read.second -= base;
        const auto place = known.emplace(reads, static_cast<int64_t>(known.size()));
        if (place.second) result.patterns.push_back(reads);
        result.pattern.push_back(place.first->second);
        result.base.push_back(base);
    }
    return result;
}

// Appends a tap to the runs from `first` on, or lengthens the last of them.
void append(std::vector<Run>& runs, size_t first, int64_t tap, int64_t offset, bool merge) {
    if (merge && runs.size() > first) {
        Run& last = runs.back();
        if (last.tap + last.taps == tap && last.offset + last.taps == offset) {
            ++last.taps;
            return;
        }
    }
    runs.push_back({static_cast<int32_t>(tap), static_cast<int32_t>(offset), 1});
}

// The outputs along an axis, first and behind the last, that meet one of its taps.
Interval outputs_of_tap(const Axis& axis, int64_t tap) {
    const int64_t distance = tap * axis.dilation - axis.begin;
    if (distance >= axis.size) return {0, 0};
    return {std::max<int64_t>(0, divided_up(-distance, axis.stride)),
            std::min(axis.outputs, (axis.size - 1 - distance) / axis.stride + 1)};
}

// A tap's outputs, cut along the last axis where the outputs that meet all its taps begin and end,
// if those are half of all outputs at least.
std::vector<std::vector<Interval>> cut_in_rows(const std::vector<Interval>& outputs,
                                               const Axis& last_axis) {
    const int64_t first = outputs_of_tap(last_axis, 0).first;
    const int64_t last = outputs_of_tap(last_axis, last_axis.taps - 1).second;
    if (2 * (last - first) < last_axis.outputs) return {outputs};
    const Interval row = outputs.back();
    std::vector<std::vector<Interval>> parts(3, outputs);
    parts[0].back() = {row.first, first};
    parts[1].back() = {first, last};
    parts[2].back() = {last, row.second};
    return parts;
}

}  // namespace

GatherTable::GatherTable(const std::vector<Axis>& axes, bool transposed, bool merge) {
    std::vector<AxisReads> sides;
    std::vector<int64_t> positions, patterns;
    for (const Axis& axis : axes) {
        sides.push_back(reads_of_axis(axis, transposed));
        positions.push_back(static_cast<int64_t>(sides.back().pattern.size()));
        patterns.push_back(static_cast<int64_t>(sides.back().patterns.size()));
        inputs_ *= sides.back().others;
        taps_ *= axis.taps;
    }
    first_run_.push_back(0);
    for_grid(patterns, [&](const std::vector<int64_t>& id) {
        std::vector<int64_t> counts;
        for (size_t a = 0; a < axes.size(); ++a)
            counts.push_back(static_cast<int64_t>(sides[a].patterns[id[a]].size()));
        const size_t first = runs_.size();
        for_grid(counts, [&](const std::vector<int64_t>& read) {
            int64_t tap = 0, offset = 0;
            for (size_t a = 0; a < axes.size(); ++a) {
                const auto& one = sides[a].patterns[id[a]][read[a]];
                tap = tap * axes[a].taps + one.first;
                offset = offset * sides[a].others + one.second;
            }
            append(runs_, first, tap, offset, merge);
        });
        first_run_.push_back(static_cast<int32_t>(runs_.size()));
    });
    for_grid(positions, [&](const std::vector<int64_t>& index) {
        int64_t pattern = 0, base = 0;
        for (size_t a = 0; a < axes.size(); ++a) {
            pattern = pattern * patterns[a] + sides[a].pattern[index[a]];
            base = base * sides[a].others + sides[a].base[index[a]];
        }
        pattern_.push_back(static_cast<int32_t>(pattern));
        base_.push_back(static_cast<int32_t>(base));
    });
    sort_outputs();
    cut_into_lines();
}

void GatherTable::sort_outputs() {
    for (size_t o = 0; o < pattern_.size(); ++o) order_.push_back(static_cast<int32_t>(o));
    std::stable_sort(order_.begin(), order_.end(),
                     [&](int32_t a, int32_t b) { return pattern_[a] < pattern_[b]; });
    first_output_.assign(first_run_.size(), 0);
    for (const int32_t pattern : pattern_) ++first_output_[pattern + 1];
    for (size_t p = 1; p < first_output_.size(); ++p) first_output_[p] += first_output_[p - 1];
}

void GatherTable::cut_into_lines() {
    for (size_t p = 0; p + 1 < first_output_.size(); ++p) {
        first_line_.push_back(static_cast<int32_t>(lines_.size()));
        for (int32_t place = first_output_[p]; place < first_output_[p + 1];) {
            const int32_t o = order_[place], behind = first_output_[p + 1] - place;
            Line line = {place, 1, o, 1, base_[o], 1};
            for (; line.length < behind; ++line.length) {
                const int32_t next = order_[place + line.length];
                if (line.length == 1) {
                    line.output_step = next - o;
                    line.base_step = base_[next] - base_[o];
                }
                if (next != o + line.length * line.output_step ||
                    base_[next] != base_[o] + line.length * line.base_step)
                    break;
            }
            lines_.push_back(line);
            place += line.length;
        }
    }
    first_line_.push_back(static_cast<int32_t>(lines_.size()));
}

Gather GatherTable::view() const {
    return {static_cast<int64_t>(pattern_.size()),
            inputs_,
            taps_,
            pattern_.data(),
            base_.data(),
            first_run_.data(),
            runs_.data(),
            static_cast<int64_t>(first_run_.size()) - 1,
            order_.data(),
            first_output_.data(),
            lines_.data(),
            first_line_.data()};
}

int64_t GatherTable::meetings() const {
    int64_t total = 0;
    for (const int32_t pattern : pattern_)
        for (int32_t r = first_run_[pattern]; r < first_run_[pattern + 1]; ++r)
            total += runs_[r].taps;
    return total;
}

TapSets::TapSets(const std::vector<Axis>& axes, bool merge, bool in_rows) {
    // the outputs that meet a tap are an interval along each axis; equal ones make a set
    std::map<std::vector<Interval>, size_t> known;
    std::vector<int64_t> taps;
    for (const Axis& axis : axes) taps.push_back(axis.taps);
    for_grid(taps, [&](const std::vector<int64_t>& index) {
        std::vector<Interval> intervals;
        int64_t tap = 0, offset = 0;
        for (size_t a = 0; a < axes.size(); ++a) {
            intervals.push_back(outputs_of_tap(axes[a], index[a]));
            tap = tap * axes[a].taps + index[a];
            offset = offset * axes[a].size + index[a] * axes[a].dilation;
        }
        std::vector<std::vector<Interval>> parts = {intervals};
        if (in_rows && !axes.empty()) parts = cut_in_rows(intervals, axes.back());
        for (const auto& part : parts) {
            const auto empty = [](const Interval& i) { return i.first >= i.second; };
            if (std::any_of(part.begin(), part.end(), empty)) continue;
            const auto place = known.emplace(part, sets_.size());
            if (place.second) sets_.push_back(set_of(axes, part));
            append(sets_[place.first->second].runs, 0, tap, offset, merge);
        }
    });
}

TapSets::Set TapSets::set_of(const std::vector<Axis>& axes,
                             const std::vector<Interval>& intervals) {
    Set set;
    std::vector<int64_t> count;
    for (const Interval& interval : intervals) count.push_back(interval.second - interval.first);
    for_grid(count, [&](const std::vector<int64_t>& place) {
        int64_t output = 0, base = 0;
        for (size_t a = 0; a < axes.size(); ++a) {
            const int64_t o = intervals[a].first + place[a];
            output = output * axes[a].outputs + o;
            base = base * axes[a].size + o * axes[a].stride - axes[a].begin;
        }
        set.output.push_back(static_cast<int32_t>(output));
        set.base.push_back(static_cast<int32_t>(base));
    });
    return set;
}

TapSets::TapSets(const Gather& table) {
    for (int32_t o = 0; o < table.outputs; ++o) {
        const int32_t pattern = table.pattern[o];
        const Run* first = table.runs + table.first_run[pattern];
        const Run* last = table.runs + table.first_run[pattern + 1];
        if (first != last) sets_.push_back({{o}, {table.base[o]}, {first, last}});
    }
}

std::vector<TapSet> TapSets::view() const {
    std::vector<TapSet> views;
    for (const Set& set : sets_)
        views.push_back({static_cast<int64_t>(set.output.size()),
                         static_cast<int64_t>(set.runs.size()), set.output.data(), set.base.data(),
                         set.runs.data()});
    return views;
}

std::shared_ptr<const GatherTable> TapTable::gather(bool transposed, bool merge) const {
    auto& table = gathers_[2 * transposed + merge];
    if (!table) table = std::make_shared<GatherTable>(axes_, transposed, merge);
    return table;
}

std::shared_ptr<const TapSets> TapTable::sets_of_outputs() const {
    return std::make_shared<TapSets>(gather(false, true)->view());
}

std::shared_ptr<const TapSets> TapTable::sets(bool merge, bool in_rows) const {
    auto& sets = sets_[2 * merge + in_rows];
    if (!sets) sets = std::make_shared<TapSets>(axes_, merge, in_rows);
    return sets;
}

}  // namespace convlet
