// Threads in the place of processes that share training steps.
#pragma once

#include <nmlbench/data_parallel.h>

#include <barrier>
#include <functional>
#include <thread>
#include <vector>

namespace nmlbench::testing {

// What the threads have in common.
struct Meeting {
  explicit Meeting(std::int64_t size) : barrier(size), given(static_cast<std::size_t>(size)) {}
  std::barrier<> barrier;
  std::vector<torch::Tensor> given;
};

class ThreadGroup : public ProcessGroup {
 public:
  ThreadGroup(Meeting& meeting, std::int64_t rank) : meeting_(meeting), rank_(rank) {}
  std::int64_t rank() const override { return rank_; }
  std::int64_t size() const override { return static_cast<std::int64_t>(meeting_.given.size()); }
  void all_reduce(torch::Tensor& x) override {
    meeting_.given[static_cast<std::size_t>(rank_)] = x;
    meeting_.barrier.arrive_and_wait();
    const torch::Tensor sum = torch::stack(meeting_.given).sum(0);
    meeting_.barrier.arrive_and_wait();
    x.copy_(sum);
  }

 private:
  Meeting& meeting_;
  std::int64_t rank_;
};

// work(step, rank) in a thread for each share of a batch, each inside its shared step.
inline void share_step(const std::vector<BatchShare>& shares,
                       const std::function<void(const SharedStep&, std::size_t)>& work) {
  Meeting meeting(static_cast<std::int64_t>(shares.size()));
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < shares.size(); ++rank) {
    threads.emplace_back([&, rank] {
      ThreadGroup group(meeting, static_cast<std::int64_t>(rank));
      const SharedStep step{group, shares[rank]};
      const SharedStepScope scope(&step);
      work(step, rank);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Places of three processes in a batch of seven samples, in no equal parts.
inline std::vector<BatchShare> three_of_seven() {
  const auto share = [](const std::vector<std::int64_t>& places) {
    return BatchShare{torch::tensor(places, torch::kInt64), 7};
  };
  return {share({0, 6}), share({1, 2, 4, 5}), share({3})};
}

}  // namespace nmlbench::testing
