// Small questions about the running process.
#pragma once

#include <nmlbench/context.h>
#include <nmlbench/error.h>
#include <nmlbench/torch.h>

#include <cstdint>
#include <string>

namespace nmlbench {

// Peak memory so far: of the process, or of LibTorch's tensors on a GPU. 0 when unknown.
std::int64_t peak_bytes(torch::Device device);

// Free memory of a GPU; 0 when unknown, and for a CPU.
std::int64_t free_bytes(torch::Device device);

// Where plugins' lines go (Context::log): the program's log.
void log_of_plugin(LogLevel level, const std::string& line);

// Inside a catch block: what went wrong, of whatever type, LibTorch's messages without their stack trace. Interrupted
// is no failure and is thrown on.
std::string message_of_current_exception();

// Why a cell has failed.
struct Failure {
  std::string message;
  // The machine failed, not the cell: no space, no memory, too many open files, a disk's error. The same command tries
  // again.
  bool transient = false;
};

// What went wrong in a worker process.
class WorkerFailure : public Error {
 public:
  WorkerFailure(Failure why, bool for_want_of_memory)
      : Error(why.message), failure(std::move(why)), no_memory(for_want_of_memory) {}
  Failure failure;
  bool no_memory;
};

// Inside a catch block: message_of_current_exception(), and of which kind it is.
Failure failure_of_current_exception();

// Logs that work of `batch` units at a time did not fit and that half is tried next.
void warn_of_smaller_batch(std::int64_t batch, const char* doing, const char* unit);

// Inside a catch block: memory ran out, on the host or on a GPU.
bool current_exception_is_out_of_memory();

// Calls work(batch) with `batch` halved, and a line in the log, each time memory runs out; at 1 the exception is thrown
// on. For the log: "encoding", "samples".
template <typename Work>
void with_smaller_batches(std::int64_t batch, const char* doing, const char* unit, const Work& work) {
  for (;; batch /= 2) {
    try {
      return work(batch);
    } catch (...) {
      if (!current_exception_is_out_of_memory() || batch == 1) throw;
      warn_of_smaller_batch(batch, doing, unit);
    }
  }
}

}  // namespace nmlbench
