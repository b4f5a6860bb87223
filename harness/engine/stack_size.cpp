#include "engine/stack_size.h"

#include "engine/process.h"
#include "engine/workers.h"
#include "registry/registry.h"

#include <nmlbench/compat.h>
#include <nmlbench/digest.h>
#include <nmlbench/gradient_tuner.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace nmlbench {
namespace {

using Clock = std::chrono::steady_clock;

// Memory that a stack may take: several share a host's, one has a GPU to itself.
std::int64_t stack_bytes(torch::Device device) {
  return std::max(std::int64_t{1} << 30, free_bytes(device) / 2);
}

constexpr double kGain = 1.03;  // a doubled stack that is not faster by this ends the search
constexpr double kSampleSeconds = 0.02;
constexpr int kSampleSteps = 5;
constexpr std::int64_t kRowsUnknown = 64;  // of a minibatch, when the tuner has no parameter for it
constexpr int kWarmUpSteps = 2;            // in the second one a GPU's step is captured

// Heads that see the same rows.
std::int64_t heads_per_unit(const Plan& plan, const std::vector<std::size_t>& cells) {
  const Cell& first = plan.cells[cells.front()];
  return std::count_if(cells.begin(), cells.end(),
                       [&](std::size_t index) { return see_the_same_rows(plan.cells[index], first); });
}

std::string measurement_id(const ResolvedPlugin& tuner, const StackShape& unit, torch::Device device) {
  char host[256] = {};
  ::gethostname(host, sizeof(host) - 1);
  Digest digest;
  for (const std::string& part :
       {std::string("stack-size/1"), std::string(host), device.str(), tuner.name, tuner.library_version,
        tuner.stack_key, fmt::format("{} {} {}", unit.heads_per_unit, unit.dim, unit.classes)}) {
    digest.update(part);
  }
  if (unit.tokens != 1) digest.update(fmt::format("{} tokens", unit.tokens));
  return digest.hex();
}

// Head-steps a second of stacks of 1, 2, 4, ... units, until a larger one no longer pays.
std::map<std::int64_t, double> measure(const ResolvedPlugin& plugin, StackShape shape, std::int64_t most_units,
                                       torch::Device device) {
  std::map<std::int64_t, double> rates;
  double best = 0;
  for (shape.units = 1; shape.units <= most_units; shape.units *= 2) {
    const std::unique_ptr<Tuner> tuner = make_tuner(plugin);
    auto* trainer = dynamic_cast<GradientTuner*>(tuner.get());
    if (trainer == nullptr) return {};
    const std::vector<HeadSpec> heads(static_cast<std::size_t>(shape.heads()), HeadSpec{plugin.params, Stream(0)});
    tuner->init(shape, heads, device);
    const std::string batch_size = plugin.parameter(Role::batch_size);
    const std::int64_t rows = batch_size.empty() ? kRowsUnknown : plugin.params.integer(batch_size);
    const Stream draws = Stream(0).at("stack-size");
    const Minibatch batch{draws.at("x").normal({1, rows, shape.dim}).to(device).repeat({shape.units, 1, 1}),
                          draws.at("y").integers({1, rows}, shape.classes).to(device).repeat({shape.units, 1}),
                          shape.heads_per_unit};
    constexpr std::int64_t kTotal = 1000000;  // far from the end of the schedule
    std::vector<double> seconds;
    double sum = 0;
    for (int step = 0; step < kWarmUpSteps + kSampleSteps || sum < kSampleSeconds; ++step) {
      const auto begin = Clock::now();
      trainer->train_step(batch, step, kTotal);
      synchronize(device);
      if (step < kWarmUpSteps) continue;
      seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
      sum += seconds.back();
    }
    std::nth_element(seconds.begin(), seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2), seconds.end());
    const double rate = static_cast<double>(shape.heads()) / seconds[seconds.size() / 2];
    rates[shape.heads()] = rate;
    if (rate < kGain * best) break;
    best = std::max(best, rate);
  }
  return rates;
}

}  // namespace

std::int64_t smallest_fast_enough(const std::map<std::int64_t, double>& rates) {
  double best = 0;
  for (const auto& [heads, rate] : rates) best = std::max(best, rate);
  return std::find_if(rates.begin(), rates.end(), [&](const auto& entry) { return entry.second >= 0.95 * best; })
      ->first;
}

std::int64_t StackSizer::bound(const std::vector<std::size_t>& cells, const HeadShape& shape) {
  try {
    return checked_bound(cells, shape);
  } catch (...) {
    const std::string why = message_of_current_exception();
    spdlog::warn("tuner \"{}\" cannot be timed ({}); its heads train one by one",
                 plan_.tuners[plan_.cells[cells.front()].tuner].name, why);
    return 1;
  }
}

std::int64_t StackSizer::checked_bound(const std::vector<std::size_t>& cells, const HeadShape& shape) {
  std::int64_t most = std::min(memory_bound(cells, shape), static_cast<std::int64_t>(cells.size()));
  if (device_.is_cpu()) {
    most = std::min(most, (static_cast<std::int64_t>(cells.size()) + threads_ - 1) / threads_);
  }
  return most <= 1 ? 1 : std::min(most, fastest(cells, shape, most));
}

std::int64_t StackSizer::memory_bound(const std::vector<std::size_t>& cells, const HeadShape& shape) const {
  std::set<std::size_t> tasks;
  for (const std::size_t cell : cells) tasks.insert(plan_.cells[cell].task);
  std::int64_t test_rows = 0, training_rows = 0;
  for (const std::size_t task : tasks) {
    const Task& own = plan_.tasks[task];
    training_rows = std::max(training_rows, plan_.splits[own.train].facts.info.size * own.views.copies());
    for (const TestSet& test : plan_.tasks[task].tests) {
      test_rows = std::max(test_rows, plan_.splits[test.split].facts.info.size);
    }
  }
  const std::int64_t spectrum_rows = std::min(test_rows, plan_.analysis.max_rows);
  const std::int64_t evaluating =
      static_cast<std::int64_t>(sizeof(float)) * (test_rows * shape.classes + spectrum_rows * shape.dim);
  const std::int64_t training = make_tuner(plan_.tuners[plan_.cells[cells.front()].tuner])
                                    ->bytes_per_head({1, 1, shape.dim, shape.classes, training_rows, shape.tokens});
  return std::max<std::int64_t>(1, stack_bytes(device_) / std::max<std::int64_t>(1, evaluating + training));
}

std::int64_t StackSizer::fastest(const std::vector<std::size_t>& cells, const HeadShape& shape, std::int64_t most) {
  const ResolvedPlugin& tuner = plan_.tuners[plan_.cells[cells.front()].tuner];
  const StackShape unit{1, heads_per_unit(plan_, cells), shape.dim, shape.classes, /*rows=*/0, shape.tokens};
  const std::string id = measurement_id(tuner, unit, device_);
  const Lease lock = cache_.lock(id, stop_);
  std::int64_t known = 0;
  const auto read = [&](const Artifact& found) { known = found.about->at("heads").get<std::int64_t>(); };
  if (cache_.use(ArtifactKind::measurement, id, read) && known > 0) return known;
  std::map<std::int64_t, double> rates;
  // in a thread of its own with one thread of LibTorch, as stacks run on a CPU
  run_workers(1, 1, 1, [&](std::size_t) {
    rates = measure(tuner, unit, std::max<std::int64_t>(1, most / unit.heads_per_unit), device_);
  });
  const std::int64_t heads = rates.empty() ? most : smallest_fast_enough(rates);
  nlohmann::json table = nlohmann::json::array();
  for (const auto& [size, rate] : rates) table.push_back({{"heads", size}, {"head_steps_per_second", rate}});
  spdlog::debug("{}: {} heads a stack, of {}", tuner.name, heads, table.dump());
  cache_.publish(ArtifactKind::measurement, id, cache_.stage(),
                 {{"what", "stack size"}, {"tuner", tuner.name}, {"heads", heads}, {"measured", table}});
  return heads;
}

}  // namespace nmlbench
