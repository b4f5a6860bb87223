// Small questions about the running process.
#pragma once

#include <nmlbench/torch.h>

#include <cstdint>
#include <string>

namespace nmlbench {

// Peak memory of the process so far; 0 when unknown (GPU).
std::int64_t peak_bytes(torch::Device device);

// Inside a catch block: what went wrong, of whatever type, LibTorch's messages without their stack trace. Interrupted
// is no failure and is thrown on.
std::string message_of_current_exception();

// Inside a catch block: memory ran out, on the host or on a GPU.
bool current_exception_is_out_of_memory();

}  // namespace nmlbench
