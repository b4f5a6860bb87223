#include "engine/process.h"

#include <sys/resource.h>

namespace nmlbench {

std::int64_t peak_bytes(torch::Device device) {
  if (!device.is_cpu()) return 0;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * std::int64_t{1024};
}

std::string message_of(const std::exception& error) {
  if (const auto* torch_error = dynamic_cast<const c10::Error*>(&error)) return torch_error->what_without_backtrace();
  return error.what();
}

}  // namespace nmlbench
