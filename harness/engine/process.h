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

}  // namespace nmlbench
