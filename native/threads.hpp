// The threads: one team for the process, woken once for each run of a plan.
//
// Work is handed out as "do part i of n"; a barrier inside lets stages follow each other without
// waking anybody again. Results never depend on how many threads there are (plan.hpp).
#pragma once

#include <atomic>
#include <functional>

namespace convlet {

// Processors that this process may use: its affinity, and no more than the container's quota.
int usable_processors();

// Where all threads of a run wait for each other.
class Barrier {
public:
    explicit Barrier(int count) : count_(count) {}
    void wait();

private:
    const int count_;
    std::atomic<int> waiting_{0};
    std::atomic<int> generation_{0};
};

// Calls work(part) for every part below `parts`, each in a thread of its own, the first in the
// caller's, and returns when all are done. Denormal numbers count as zero meanwhile. Callers in
// several threads take turns; a process made by fork gets threads of its own.
void run_in_threads(int parts, const std::function<void(int)>& work);

}  // namespace convlet
