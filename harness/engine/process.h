// Small questions about the running process.
#pragma once

#include <nmlbench/torch.h>

#include <cstdint>
#include <exception>
#include <string>

namespace nmlbench {

// Peak memory of the process so far; 0 when unknown (GPU).
std::int64_t peak_bytes(torch::Device device);

// The message of any exception, LibTorch's without its stack trace.
std::string message_of(const std::exception& error);

}  // namespace nmlbench
