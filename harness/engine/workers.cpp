#include "engine/workers.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include <ATen/Parallel.h>

namespace nmlbench {

void run_workers(int workers, int threads, std::size_t jobs, const std::function<void(std::size_t)>& job,
                 const std::function<bool()>& abandon) {
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::exception_ptr first_error;
  const auto work = [&] {
    at::set_num_threads(std::max(1, threads / workers));
    try {
      for (std::size_t i = next++; i < jobs && !failed && !(abandon && abandon()); i = next++) job(i);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!first_error) first_error = std::current_exception();
      failed = true;
    }
  };
  std::vector<std::thread> pool;
  try {
    for (int i = 0; i < workers; ++i) pool.emplace_back(work);
  } catch (const std::system_error&) {  // no more threads to be had: those that are there do the work
  } catch (const std::bad_alloc&) {
  }
  for (std::thread& thread : pool) thread.join();
  if (pool.empty()) throw Error("no thread could be started; close other programs and run the same command again");
  if (first_error) std::rethrow_exception(first_error);
}

}  // namespace nmlbench
