// The numbers that a take table moves, in runs; engine/tables.py finds them.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "kernels.hpp"

namespace convlet {

// Owns what a `Moves` points to.
class MoveTable {
public:
    MoveTable(std::vector<int32_t> first, std::vector<int32_t> first_source,
              std::vector<int32_t> source)
        : first_(std::move(first)),
          first_source_(std::move(first_source)),
          source_(std::move(source)) {}
    int64_t numbers() const { return first_.back(); }
    Moves view(int64_t lanes, float fill) const {
        return {static_cast<int64_t>(first_.size()) - 1, first_.data(), first_source_.data(),
                source_.data(), lanes, fill};
    }

private:
    std::vector<int32_t> first_, first_source_, source_;
};

}  // namespace convlet
