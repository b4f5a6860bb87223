#include "engine/process.h"

#include "cache/feature_store.h"

#include <nmlbench/error.h>

#include <future>
#include <new>
#include <system_error>

#include <spdlog/spdlog.h>
#include <sys/resource.h>

#ifdef NMLBENCH_CUDA  // the headers of CUDA, which only a CUDA build of LibTorch brings
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>
#endif

namespace nmlbench {

#ifdef NMLBENCH_CUDA
namespace {

c10::DeviceIndex index_of(torch::Device device) {
  return device.has_index() ? device.index() : c10::DeviceIndex{0};
}

}  // namespace
#endif

std::int64_t peak_bytes(torch::Device device) {
  if (device.is_cpu()) {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss * std::int64_t{1024};
  }
#ifdef NMLBENCH_CUDA
  if (device.is_cuda())
    return c10::cuda::CUDACachingAllocator::getDeviceStats(index_of(device)).allocated_bytes[0].peak;
#endif
  return 0;
}

std::int64_t free_bytes(torch::Device device) {
#ifdef NMLBENCH_CUDA
  if (device.is_cuda()) {
    const c10::cuda::CUDAGuard here(index_of(device));
    std::size_t free = 0, total = 0;
    if (cudaMemGetInfo(&free, &total) == cudaSuccess) return static_cast<std::int64_t>(free);
  }
#else
  (void)device;
#endif
  return 0;
}

void log_of_plugin(LogLevel level, const std::string& line) {
  if (level == LogLevel::debug) spdlog::debug("{}", line);
  if (level == LogLevel::info) spdlog::info("{}", line);
  if (level == LogLevel::warning) spdlog::warn("{}", line);
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

Failure failure_of_current_exception() {
  Failure failure{message_of_current_exception(), current_exception_is_out_of_memory()};
  try {
    throw;
  } catch (const WorkerFailure& error) {
    failure.transient = error.failure.transient;
  } catch (const SystemError& error) {
    failure.transient = is_transient(error.code());
  } catch (const FeaturesGone&) {
    failure.transient = true;
  } catch (const DamagedFile&) {  // of the cache, which makes it again
    failure.transient = true;
  } catch (const std::future_error&) {  // a thread of a library's that had no memory to say what it lacked
    failure.transient = true;
  } catch (const std::system_error& error) {
    failure.transient = failure.transient || is_transient(error.code().value());
  } catch (...) {  // LibTorch, libraries of file formats and plugins have no type for it; they quote the system
    failure.transient = failure.transient || names_transient_reason(failure.message);
  }
  return failure;
}

void warn_of_smaller_batch(std::int64_t batch, const char* doing, const char* unit) {
  spdlog::warn("out of memory while {} {} {} at a time; trying {}", doing, batch, unit, batch / 2);
}

bool current_exception_is_out_of_memory() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return true;
  } catch (const WorkerFailure& error) {
    return error.no_memory;
  } catch (const c10::Error& error) {
    // LibTorch 1.13 has no type of its own for it: its allocators say these words, on a CPU and on a GPU
    const std::string message = error.what_without_backtrace();
    for (const char* words : {"not enough memory", "out of memory", "can't allocate memory"}) {
      if (message.find(words) != std::string::npos) return true;
    }
    return false;
  } catch (...) {
    return false;
  }
}

}  // namespace nmlbench
