// Items made by another thread while the one that takes them works on those before.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

namespace nmlbench {

template <typename Item>
class ReadAhead {
 public:
  // Calls make(0), .., make(items - 1), one after the other, in a thread of its own, which is never more than `ahead`
  // items ahead of who takes them; `ahead` = 0: in next(), without a thread. Throws std::system_error where no thread
  // is to be had.
  ReadAhead(std::int64_t items, std::int64_t ahead, std::function<Item(std::int64_t)> make)
      : items_(items), ahead_(ahead), make_(std::move(make)) {
    if (ahead_ > 0) thread_ = std::jthread([this](const std::stop_token& stop) { make_all(stop); });
  }
  // Ends after the item in the making.
  ~ReadAhead() = default;
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // The next item, of `items` in all. What its make() threw is thrown here, after the items before.
  Item next() {
    if (ahead_ == 0) return make_(taken_++);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !made_.empty() || failure_ != nullptr; });
    if (made_.empty()) std::rethrow_exception(failure_);
    Item item = std::move(made_.front());
    made_.pop_front();
    ++taken_;
    changed_.notify_all();
    return item;
  }

 private:
  void make_all(const std::stop_token& stop) {
    for (std::int64_t i = 0; i < items_; ++i) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, stop, [&] { return i < taken_ + ahead_; });
      if (stop.stop_requested()) return;
      lock.unlock();
      try {
        Item item = make_(i);
        lock.lock();
        made_.push_back(std::move(item));
      } catch (...) {
        if (!lock.owns_lock()) lock.lock();
        failure_ = std::current_exception();
      }
      changed_.notify_all();
      if (failure_ != nullptr) return;
    }
  }

  std::int64_t items_, ahead_;
  std::function<Item(std::int64_t)> make_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Item> made_;
  std::int64_t taken_ = 0;
  std::exception_ptr failure_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace nmlbench
