#include "engine/process.h"

#include <nmlbench/error.h>

#include <new>

#include <sys/resource.h>

namespace nmlbench {

std::int64_t peak_bytes(torch::Device device) {
  if (!device.is_cpu()) return 0;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * std::int64_t{1024};
}

std::string message_of_current_exception() {
  try {
    throw;
  } catch (const Interrupted&) {
    throw;
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  } catch (const std::bad_alloc&) {
    return "out of memory";
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception that is no std::exception";
  }
}

}  // namespace nmlbench
