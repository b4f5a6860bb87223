// The processes that train one checkpoint together, connected by LibTorch's c10d.
#pragma once

#include <nmlbench/data_parallel.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace nmlbench {

// What a launcher says of this process and of where to meet.
struct Launch {
  std::int64_t rank = 0, size = 1;
  std::string address;         // of the machine of rank 0
  std::uint16_t port = 29500;  // there, free
  std::string interface = "";  // of the network; "": what the name of this machine resolves to
};

class TrainingGroup : public ProcessGroup {
 public:
  bool is_first() const { return rank() == 0; }
  // What the first process gives, in all of them. Waits for it however long it takes.
  virtual std::string from_first(const std::string& bytes) = 0;
};

// Why this build cannot connect processes; "" when it can.
std::string training_groups_obstacle();

// Waits until all processes are there, through Gloo; tensors of a GPU pass through the memory of its machine. Throws
// Error when they are not within a quarter of an hour. Later, one that has ended is an Error of the others as soon as
// they wait for it, one that says nothing any more after half an hour; Interrupted where `stop` is set by then.
std::unique_ptr<TrainingGroup> connect(const Launch& launch, const std::atomic<bool>* stop);

}  // namespace nmlbench
