#include "engine/training_group.h"

#include "engine/process.h"

#include <nmlbench/context.h>
#include <nmlbench/dense.h>

#include <chrono>
#include <cstring>

#include <fmt/format.h>

#ifdef NMLBENCH_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#endif

namespace nmlbench {

#ifndef NMLBENCH_GLOO

std::string training_groups_obstacle() {
  return "this build cannot connect processes: Gloo's headers were not there when it was configured; install "
         "libgloo-dev and build again";
}

std::unique_ptr<TrainingGroup> connect(const Launch&, const std::atomic<bool>*) {
  throw Error(training_groups_obstacle());
}

#else

namespace {

using std::chrono::milliseconds;

constexpr std::chrono::minutes kMeeting{15}, kExchange{30};
constexpr std::chrono::hours kPatience{24 * 365};

std::string first_line_of_exception() {
  const std::string message = message_of_current_exception();
  return message.substr(0, message.find('\n'));
}

class GlooGroup : public TrainingGroup {
 public:
  GlooGroup(const Launch& launch, const std::atomic<bool>* stop) : rank_(launch.rank), size_(launch.size), stop_(stop) {
    c10d::TCPStoreOptions store;
    store.port = launch.port;
    store.isServer = rank_ == 0;
    store.numWorkers = static_cast<std::size_t>(size_);
    store.timeout = kMeeting;
    // the default of later versions, which Debian 13's LibTorch was built without
    const auto refuse_libuv = [](auto& of) {
      if constexpr (requires { of.useLibUV; }) of.useLibUV = false;
    };
    refuse_libuv(store);
    auto options = c10d::ProcessGroupGloo::Options::create(kExchange);
    options->devices.push_back(launch.interface.empty()
                                   ? c10d::ProcessGroupGloo::createDefaultDevice()
                                   : c10d::ProcessGroupGloo::createDeviceForInterface(launch.interface));
    store_ = c10::make_intrusive<c10d::TCPStore>(launch.address, store);
    gloo_ =
        c10::make_intrusive<c10d::ProcessGroupGloo>(store_, static_cast<int>(rank_), static_cast<int>(size_), options);
  }

  std::int64_t rank() const override { return rank_; }
  std::int64_t size() const override { return size_; }

  void all_reduce(torch::Tensor& x) override {
    const torch::NoGradGuard no_grad;
    std::vector<torch::Tensor> sums = {x.cpu().contiguous()};
    exchange([&] { return gloo_->allreduce(sums); });
    if (!sums[0].is_same(x)) x.copy_(sums[0]);
  }

  std::string from_first(const std::string& bytes) override {
    std::vector<torch::Tensor> size = {torch::full({1}, static_cast<std::int64_t>(bytes.size()), torch::kInt64)};
    c10d::BroadcastOptions options;
    options.timeout = kPatience;
    exchange([&] { return gloo_->broadcast(size, options); });
    std::vector<torch::Tensor> content = {torch::empty({size[0].item<std::int64_t>()}, torch::kUInt8)};
    auto* data = dense_data<std::uint8_t>(content[0]);
    if (is_first()) std::memcpy(data, bytes.data(), bytes.size());
    if (content[0].numel() > 0) exchange([&] { return gloo_->broadcast(content, options); });
    return {reinterpret_cast<const char*>(data), static_cast<std::size_t>(content[0].numel())};
  }

 private:
  // begin() -> the work to wait for.
  template <typename Begin>
  void exchange(const Begin& begin) {
    try {
      begin()->wait();
    } catch (...) {
      // who presses Ctrl-C interrupts all of them
      if (stop_ != nullptr && stop_->load()) throw Interrupted();
      throw Error(
          fmt::format("process {} of {} has lost another one, which has ended or cannot be reached ({}); what was "
                      "finished is stored, and the same command goes on after the last epoch",
                      rank_ + 1, size_, first_line_of_exception()));
    }
  }

  std::int64_t rank_, size_;
  const std::atomic<bool>* stop_;
  c10::intrusive_ptr<c10d::TCPStore> store_;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo_;
};

}  // namespace

std::string training_groups_obstacle() {
  return "";
}

std::unique_ptr<TrainingGroup> connect(const Launch& launch, const std::atomic<bool>* stop) {
  try {
    return std::make_unique<GlooGroup>(launch, stop);
  } catch (...) {
    if (stop != nullptr && stop->load()) throw Interrupted();
    throw Error(
        fmt::format("process {} of {} did not meet the others at {}:{} ({}); start all of them at once, and look at "
                    "the launcher's MASTER_ADDR and MASTER_PORT",
                    launch.rank + 1, launch.size, launch.address, launch.port, first_line_of_exception()));
  }
}

#endif

}  // namespace nmlbench
