// A plan: a program for one batch size, as stages that kernels carry out on blocks of images.
//
// The batch is cut into blocks of `lanes` images, the blocks into at most 8 shards, both by the
// batch alone. A plan has phases, of two kinds:
//
//   by blocks   a thread takes a shard and leads its blocks, one after the other, through all the
//               stages of the phase: what one stage wrote is still in the cache when the next
//               one reads it. Gradients add up within the shard, in order.
//   together    all threads share each stage, and wait for each other after it: packing weights,
//               gradients that sum over the whole batch, adding up the shards.
//
// Where there are too few shards to go round, a phase by blocks is done together, too, block by
// block. So the bits depend on the batch and the instruction set, never on the threads.
//
// engine/lowering.py decides what the stages are and where buffers lie; here they are carried out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "kernels.hpp"

namespace convlet {

constexpr int64_t MOST_SHARDS = 8;

// Memory whose address is a multiple of 64, zero at first.
class Memory {
public:
    void resize(int64_t bytes);
    char* data() const { return data_.get(); }

private:
    struct Free {
        void operator()(char* p) const { std::free(p); }
    };
    std::unique_ptr<char, Free> data_;
};

class Plan;

// What a stage is given when it runs: which block, which part of the work, where things are.
struct Call {
    const Plan& plan;
    int64_t block, shard;
    Share share;
    char* local;         // buffers of the thread that has the block
    char* scratch;       // this thread's own
    float* workspace;    // of the thread that has the block
    void* const* slots;  // the caller's arrays

    template <class T = float>
    T* buffer(int id) const;  // null for -1
    template <class T = float>
    T* slot(int number) const {
        return number < 0 ? nullptr : static_cast<T*>(slots[number]);
    }
    int64_t first_image() const;
    int64_t images() const;  // those of the block that are there
};

// What a stage takes.
struct Effort {
    double operations;  // floating point operations for the whole batch
    int64_t work;       // multiply-adds or numbers of a block, if there may be few

    Effort(double operations, int64_t work = INT64_MAX) : operations(operations), work(work) {}
};

// One step of a phase.
struct Stage {
    std::string name;
    double operations;
    bool small;  // waiting for other threads would take longer
    std::function<void(const Call&)> run;
    int64_t nanoseconds = 0;  // by all threads, while profiling
};

class Plan {
public:
    Plan(const std::string& instruction_set, int64_t images, int64_t lanes);

    // A buffer of `bytes` for a block: shared ones keep all blocks' contents from phase to phase and lie
    // at `offset` of the memory for them, the others at `offset` of that of the thread that has the
    // block.
    int add_buffer(int64_t bytes, bool shared, int64_t offset);
    // The sum of a gradient of `size` numbers, which `result` receives; without shards, stages that
    // are done together add to it directly.
    int add_gradient(int64_t size, int result, bool sharded);
    // Memory of the plan's own, such as packed weights; what was never released is zero at first.
    int add_memory(int64_t floats);
    // Leaves the memory's place to memories that are added from here on. Stages that are added from
    // here on do not use it.
    void release_memory(int id);
    // Memory of each thread's own, for the time of one stage.
    void need_scratch(int64_t bytes) { scratch_bytes_ = std::max(scratch_bytes_, bytes); }

    // Memory that the stages of a block hand each other, beside its buffers.
    void need_workspace(int64_t bytes) { workspace_bytes_ = std::max(workspace_bytes_, bytes); }

    void begin_phase(bool together);
    void add(std::string name, Effort effort, std::function<void(const Call&)> run);

    // Carries out phases; `slots` are the caller's arrays.
    void run(int64_t first_phase, int64_t last_phase, const std::vector<void*>& slots, int threads);

    struct Profile {
        std::string name;
        double seconds, operations;
    };
    // Every stage: the number of its phase, whether that is done together, name and operations.
    using Entry = std::tuple<int64_t, bool, std::string, double>;
    std::vector<Entry> stages() const;
    // Bytes of shared buffers, of each thread's memory, and of the plan's own memory.
    std::tuple<int64_t, int64_t, int64_t> memory_bytes() const;

    void set_profiling(bool on) { profiling_ = on; }
    std::vector<Profile> take_profile();

    const Kernels& kernels() const { return kernels_; }
    int64_t images() const { return images_; }
    int64_t lanes() const { return lanes_; }
    int64_t blocks() const { return blocks_; }
    int64_t shards() const { return shards_; }
    int64_t bytes() const { return bytes_; }
    float* memory(int id) const {
        return reinterpret_cast<float*>(own_.data() + memories_[id].offset);
    }
    int64_t step(int buffer) const { return buffers_[buffer].bytes; }
    char* address(int buffer, int64_t block, char* local) const;
    float* gradient(int id, const Call& call) const;
    // Adds a gradient's shards up into its result.
    void add_up(int id, const Call& call) const;

private:
    struct Buffer {
        int64_t bytes;
        bool shared;
        int64_t offset;
    };
    struct Place {
        int64_t offset, bytes;
        bool released;
    };
    struct Gradient {
        int64_t size;
        int result;
        bool sharded;
        int memory;
    };
    struct Phase {
        bool together;
        std::vector<Stage> stages;
        std::vector<int> gradients;  // that its shards add up
    };
    class Crew;

    const Kernels& kernels_;
    const int64_t images_, lanes_, blocks_, shards_;
    std::vector<Buffer> buffers_;
    std::vector<Gradient> gradients_;
    std::vector<Place> memories_;
    std::vector<Phase> phases_;
    int64_t local_bytes_ = 0, workspace_bytes_ = 0, scratch_bytes_ = 0;  // of a thread
    int64_t shared_bytes_ = 0, own_bytes_ = 0, bytes_ = 0;
    Memory shared_, own_;
    std::vector<Memory> locals_;
    bool profiling_ = false;
    std::mutex mutex_;
};

template <class T>
T* Call::buffer(int id) const {
    return id < 0 ? nullptr : reinterpret_cast<T*>(plan.address(id, block, local));
}

}  // namespace convlet
