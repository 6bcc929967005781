// Carries out plans; see plan.hpp for what they are.
#include "plan.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>

#include "processor.hpp"
#include "threads.hpp"

namespace convlet {
namespace {

constexpr int64_t ALIGNMENT = 64;
// Kernels may read a few vectors past the end of a buffer, never use what they read there.
constexpr int64_t PADDING = 512;
constexpr int64_t SMALL_WORK = 8192;  // less than a microsecond of one thread

int64_t aligned(int64_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

}  // namespace

void Memory::resize(int64_t bytes) {
    const int64_t size = aligned(bytes + PADDING);
    char* data = static_cast<char*>(std::aligned_alloc(ALIGNMENT, size));
    if (!data) throw std::bad_alloc();
    std::memset(data, 0, size);
    data_.reset(data);
}

int64_t Call::first_image() const { return block * plan.lanes(); }
int64_t Call::images() const { return std::min(plan.lanes(), plan.images() - first_image()); }

Plan::Plan(const std::string& instruction_set, int64_t images, int64_t lanes)
    : kernels_(kernels_of(instruction_set)),
      images_(images),
      lanes_(lanes),
      blocks_((images + lanes - 1) / lanes),
      shards_(std::min(MOST_SHARDS, blocks_)) {}

int Plan::add_buffer(int64_t bytes, bool shared, int64_t offset) {
    bytes = aligned(bytes);
    int64_t& end = shared ? shared_bytes_ : local_bytes_;
    end = std::max(end, offset + (shared ? aligned(bytes * blocks_ + PADDING) : bytes));
    buffers_.push_back({bytes, shared, offset});
    return static_cast<int>(buffers_.size()) - 1;
}

int Plan::add_memory(int64_t floats) {
    const int64_t bytes = aligned(4 * floats + PADDING);
    std::vector<Place> living;
    for (const Place& place : memories_)
        if (!place.released) living.push_back(place);
    std::sort(living.begin(), living.end(),
              [](const Place& a, const Place& b) { return a.offset < b.offset; });
    int64_t offset = 0;  // of the lowest gap that is large enough
    for (const Place& place : living) {
        if (place.offset - offset >= bytes) break;
        offset = place.offset + place.bytes;
    }
    memories_.push_back({offset, bytes, false});
    own_bytes_ = std::max(own_bytes_, offset + bytes);
    return static_cast<int>(memories_.size()) - 1;
}

void Plan::release_memory(int id) { memories_[id].released = true; }

int Plan::add_gradient(int64_t size, int result, bool sharded) {
    const int64_t step = aligned(4 * size) / 4;
    const int memory = sharded ? add_memory(step * shards_) : -1;
    gradients_.push_back({size, result, sharded, memory});
    const int id = static_cast<int>(gradients_.size()) - 1;
    if (sharded) phases_.back().gradients.push_back(id);
    return id;
}

void Plan::begin_phase(bool together) {
    phases_.emplace_back();
    phases_.back().together = together;
}

void Plan::add(std::string name, Effort effort, std::function<void(const Call&)> run) {
    const bool small = effort.work < SMALL_WORK;
    phases_.back().stages.push_back({std::move(name), effort.operations, small, std::move(run)});
}

char* Plan::address(int buffer, int64_t block, char* local) const {
    const Buffer& b = buffers_[buffer];
    return b.shared ? shared_.data() + b.offset + block * b.bytes : local + b.offset;
}

float* Plan::gradient(int id, const Call& call) const {
    const Gradient& g = gradients_[id];
    if (!g.sharded) return call.slot(g.result);
    return memory(g.memory) + call.shard * (aligned(4 * g.size) / 4);
}

void Plan::add_up(int id, const Call& call) const {
    const Gradient& g = gradients_[id];
    float* shards[MOST_SHARDS];
    for (int64_t s = 0; s < shards_; ++s) shards[s] = memory(g.memory) + s * (aligned(4 * g.size) / 4);
    kernels_.add_up(shards, g.size, shards_, call.slot(g.result), call.share);
}

std::vector<Plan::Entry> Plan::stages() const {
    std::vector<Entry> stages;
    for (size_t p = 0; p < phases_.size(); ++p)
        for (const Stage& stage : phases_[p].stages)
            stages.emplace_back(p, phases_[p].together, stage.name, stage.operations);
    return stages;
}

std::tuple<int64_t, int64_t, int64_t> Plan::memory_bytes() const {
    return {shared_bytes_, local_bytes_ + workspace_bytes_ + scratch_bytes_, own_bytes_};
}

std::vector<Plan::Profile> Plan::take_profile() {
    std::vector<Profile> profile;
    for (Phase& phase : phases_)
        for (Stage& stage : phase.stages) {
            profile.push_back({stage.name, 1e-9 * stage.nanoseconds, stage.operations});
            stage.nanoseconds = 0;
        }
    return profile;
}

// The threads of one run, all inside `work`: phase by phase, with a barrier after each.
class Plan::Crew {
public:
    Crew(Plan& plan, const std::vector<void*>& slots, int threads)
        : plan_(plan), slots_(slots), threads_(threads), barrier_(threads) {}

    void work(int part, int64_t first_phase, int64_t last_phase) {
        for (int64_t p = first_phase; p < last_phase; ++p) {
            Phase& phase = plan_.phases_[p];
            if (phase.together) {
                for (Stage& stage : phase.stages) {
                    run_stage(stage, call(0, 0, {part, threads_}, 0, part));
                    barrier_.wait();
                }
            } else if (plan_.shards_ > 1 && 2 * plan_.shards_ > threads_) {
                for (int64_t shard; (shard = next_shard_.fetch_add(1)) < plan_.shards_;)
                    run_shard(phase, shard, {0, 1}, part, part);
                barrier_.wait();
                if (part == 0) next_shard_.store(0);
            } else {
                for (int64_t shard = 0; shard < plan_.shards_; ++shard)
                    run_shard(phase, shard, {part, threads_}, 0, part);
            }
            barrier_.wait();
        }
    }

private:
    // `arena`: the thread whose buffers hold the block; `own`: the one that calls.
    Call call(int64_t block, int64_t shard, Share share, int arena, int own) const {
        char* local = plan_.locals_[arena].data();
        const int64_t workspace = aligned(plan_.local_bytes_ + PADDING);
        const int64_t scratch = workspace + aligned(plan_.workspace_bytes_ + PADDING);
        return {plan_,
                block,
                shard,
                share,
                local,
                plan_.locals_[own].data() + scratch,
                reinterpret_cast<float*>(local + workspace),
                slots_.data()};
    }

    void run_stage(Stage& stage, const Call& call) {
        if (!plan_.profiling_) {
            stage.run(call);
            return;
        }
        const auto start = std::chrono::steady_clock::now();
        stage.run(call);
        const auto took = std::chrono::steady_clock::now() - start;
        const std::lock_guard<std::mutex> lock(clock_);
        stage.nanoseconds += std::chrono::duration_cast<std::chrono::nanoseconds>(took).count();
    }

    void run_shard(Phase& phase, int64_t shard, Share share, int arena, int own) {
        for (const int id : phase.gradients) {
            if (share.part) continue;
            float* sum = plan_.gradient(id, call(0, shard, share, arena, own));
            std::memset(sum, 0, 4 * plan_.gradients_[id].size);
        }
        if (share.parts > 1) barrier_.wait();
        const int64_t first = plan_.blocks_ * shard / plan_.shards_;
        const int64_t last = plan_.blocks_ * (shard + 1) / plan_.shards_;
        for (int64_t block = first; block < last; ++block)
            if (share.parts == 1)
                for (Stage& stage : phase.stages)
                    run_stage(stage, call(block, shard, share, arena, own));
            else run_shared(phase, call(block, shard, share, arena, own));
    }

    // Small stages are done by the first thread, one after the other; the others wait for the last.
    void run_shared(Phase& phase, const Call& call) {
        Call alone = call;
        alone.share = {};
        for (size_t i = 0; i < phase.stages.size(); ++i) {
            Stage& stage = phase.stages[i];
            if (!stage.small) run_stage(stage, call);
            else if (call.share.part == 0) run_stage(stage, alone);
            const bool goes_on = i + 1 < phase.stages.size() && phase.stages[i + 1].small;
            if (!stage.small || !goes_on) barrier_.wait();
        }
    }

    Plan& plan_;
    const std::vector<void*>& slots_;
    const int threads_;
    Barrier barrier_;
    std::atomic<int64_t> next_shard_{0};
    std::mutex clock_;
};

void Plan::run(int64_t first_phase, int64_t last_phase, const std::vector<void*>& slots,
               int threads) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!shared_.data()) {
        shared_.resize(shared_bytes_);
        own_.resize(own_bytes_);
        bytes_ += shared_bytes_ + own_bytes_;
    }
    while (static_cast<int>(locals_.size()) < threads) {
        locals_.emplace_back();
        locals_.back().resize(aligned(local_bytes_ + PADDING) +
                              aligned(workspace_bytes_ + PADDING) + scratch_bytes_);
        bytes_ += local_bytes_ + workspace_bytes_ + scratch_bytes_;
    }
    Crew crew(*this, slots, threads);
    run_in_threads(threads, [&](int part) { crew.work(part, first_phase, last_phase); });
}

}  // namespace convlet
