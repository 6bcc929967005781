// The team of threads.hpp.
#include "threads.hpp"

#include <pthread.h>
#include <sched.h>

#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace convlet {
namespace {

void pause() {
#if defined(__SSE2__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// Numbers too small to be normal take a hundred times as long to compute with; flushing them to
// zero changes no result that anybody would notice. The caller's own mode is put back.
class DenormalsAreZero {
public:
#if defined(__SSE2__)
    DenormalsAreZero() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
    ~DenormalsAreZero() { _mm_setcsr(before_); }

private:
    unsigned before_;
#elif defined(__aarch64__)
    DenormalsAreZero() {
        __asm__ volatile("mrs %0, fpcr" : "=r"(before_));
        __asm__ volatile("msr fpcr, %0" : : "r"(before_ | (1ull << 24)));
    }
    ~DenormalsAreZero() { __asm__ volatile("msr fpcr, %0" : : "r"(before_)); }

private:
    unsigned long long before_;
#endif
};

// Spins of about 100 us before a thread goes to sleep: longer than what Python does between two
// predictions (waking a thread took 20 us of the 85 of a single image's), shorter than what other
// programs would miss.
constexpr int SPINS = 5000;

class Team {
public:
    void run(int parts, const std::function<void(int)>& work) {
        std::lock_guard<std::mutex> turn(turn_);
        while (static_cast<int>(threads_.size()) < parts - 1) {
            const int number = static_cast<int>(threads_.size()) + 1;
            threads_.emplace_back([this, number, seen = round_.load()] { serve(number, seen); });
            threads_.back().detach();
        }
        {
            std::lock_guard<std::mutex> lock(mutex_);
            work_ = &work;
            parts_ = parts;
            left_.store(parts - 1);
            round_.fetch_add(1);
        }
        wake_.notify_all();
        {
            const DenormalsAreZero mode;
            work(0);
        }
        for (int spins = 0; left_.load(std::memory_order_acquire) > 0; ++spins)
            spins < SPINS ? pause() : static_cast<void>(sched_yield());
    }

private:
    void serve(int number, int seen) {
        const DenormalsAreZero mode;
        while (true) {
            for (int spins = 0; round_.load(std::memory_order_acquire) == seen && spins < SPINS;
                 ++spins)
                pause();
            const std::function<void(int)>* work;
            bool mine;
            {
                std::unique_lock<std::mutex> lock(mutex_);
                wake_.wait(lock, [&] { return round_.load() != seen; });
                seen = round_.load();
                work = work_;
                mine = number < parts_;
            }
            if (!mine) continue;
            (*work)(number);
            left_.fetch_sub(1, std::memory_order_release);
        }
    }

    std::mutex turn_, mutex_;
    std::condition_variable wake_;
    std::vector<std::thread> threads_;
    const std::function<void(int)>* work_ = nullptr;
    int parts_ = 0;
    std::atomic<int> left_{0}, round_{0};
};

Team* team = nullptr;
std::mutex team_mutex;

Team& the_team() {
    std::lock_guard<std::mutex> lock(team_mutex);
    if (!team) {
        team = new Team;  // never destroyed: its threads may outlive main
        static const int registered = pthread_atfork(
            [] { team_mutex.lock(); }, [] { team_mutex.unlock(); },
            // the child has no threads; what the parent's team holds is left to the parent
            [] {
                team = nullptr;
                team_mutex.unlock();
            });
        static_cast<void>(registered);
    }
    return *team;
}

// The container's limit in processors, rounded up, or 0 if there is none.
int quota() {
    std::ifstream v2("/sys/fs/cgroup/cpu.max");
    std::string amount;
    double period = 0;
    if (v2 >> amount >> period) {
        if (amount == "max" || period <= 0) return 0;
    } else {
        std::ifstream of_quota("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
        std::ifstream of_period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
        if (!(of_quota >> amount) || !(of_period >> period) || amount[0] == '-') return 0;
    }
    const double processors = std::stod(amount) / period;
    const int whole = static_cast<int>(processors);
    return whole + (processors > whole ? 1 : 0);
}

}  // namespace

int usable_processors() {
    int count = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) count = CPU_COUNT(&set);
    const int limit = quota();
    if (limit > 0 && limit < count) count = limit;
#endif
    return count > 0 ? count : 1;
}

void Barrier::wait() {
    const int generation = generation_.load();
    if (waiting_.fetch_add(1) + 1 == count_) {
        waiting_.store(0);
        generation_.fetch_add(1);
        return;
    }
    for (int spins = 0; generation_.load(std::memory_order_acquire) == generation; ++spins)
        spins < SPINS ? pause() : static_cast<void>(sched_yield());
}

void run_in_threads(int parts, const std::function<void(int)>& work) {
    if (parts == 1) {
        const DenormalsAreZero mode;
        work(0);
        return;
    }
    the_team().run(parts, work);
}

}  // namespace convlet
