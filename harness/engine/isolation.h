// Which plugins run in worker processes, and the stages of those that do (DESIGN 7). What a plugin does to its process,
// it does to a worker; a new one takes its place.
#pragma once

#include "engine/checkpoint_job.h"
#include "engine/fine_tune_job.h"
#include "engine/task_labels.h"
#include "engine/told_inspector.h"
#include "engine/tune.h"
#include "engine/worker_process.h"
#include "plan/plan.h"
#include "registry/inspector.h"

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace nmlbench {

struct IsolationOptions {
  enum class Which { none, outside, all };
  Which which = Which::outside;  // of the plugins: those that are not bundled
  StageLimits limits;
  const std::atomic<bool>* stop = nullptr;
};

// All stages throw Error with the plugin's name and library: what it threw, or how its process ended. [any-thread],
// plan_with() excepted.
class Isolation : public Inspector {
 public:
  Isolation(std::vector<std::string> libraries, const IsolationOptions& options)
      : libraries_(std::move(libraries)), options_(options) {}

  // What planning asks, in a worker where the plugin is isolated. The answers are noted for plan_with().
  SplitFacts split(const ResolvedPlugin& dataset) const override;
  std::optional<bool> trainable(const ResolvedPlugin& encoder) const override;
  std::optional<InputSpec> input(const ResolvedPlugin& encoder) const override;
  std::optional<std::int64_t> feature_dim(const ResolvedPlugin& encoder, const SplitInfo& samples) const override;
  std::optional<NoiseFacts> noise(const ResolvedPlugin& model) const override;
  std::string files(const ResolvedPlugin& plugin) const override { return inspector_.files(plugin); }

  // How workers come to the same plan. Once, before any stage.
  struct Recipe {
    MatrixSource source;
    std::int64_t shard = 0, shards = 0;  // 0: all of it
    std::vector<std::string> cells;      // only these; empty: all
    Answers answers;
    std::filesystem::path cache;
    std::string device;
    int threads = 1;
  };
  void plan_with(const Recipe& recipe, const Plan& plan);

  bool covers(const ResolvedPlugin& plugin) const;
  // The encoder, the noise or the data of these encodings are isolated.
  bool covers(const Plan& plan, const CheckpointJob& job) const;
  // The tuner, or what makes or feeds its encoder, is isolated.
  bool covers(const Plan& plan, const FineTuneJob& job) const;

  // D and T.
  std::pair<std::int64_t, std::int64_t> feature_shape(const Plan& plan, std::size_t checkpoint, std::size_t readout,
                                                      std::size_t split);
  NoiseRecord known_noise(const Plan& plan, std::size_t checkpoint);
  // In a worker where the noise of the cell's task, or the data, are isolated.
  TaskLabels task_labels(const Plan& plan, std::size_t cell);
  // Throws Interrupted only. When the worker dies, each encoding is tried alone.
  CheckpointJobResult run_job(const Plan& plan, const CheckpointJob& job, const ArtifactCache& cache,
                              ProgressListener& progress);
  // 1, with a warning, when the tuner cannot be asked.
  std::int64_t stack_bound(const Plan& plan, const std::vector<std::size_t>& cells, const HeadShape& shape);
  // Throws Interrupted only.
  StackResult run_stack(const Plan& plan, const Stack& stack, torch::Device device);
  // Throws Interrupted only.
  FineTuneResult run_fine_tuning(const Plan& plan, const FineTuneJob& job, torch::Device device,
                                 ProgressListener& progress);

 private:
  struct Worker {
    Worker(std::string for_whom, double memory_gb) : who(std::move(for_whom)), process(memory_gb) {}
    std::string who;  // a thread that one plugin left behind may crash while another one's stage runs
    WorkerProcess process;
    bool planned = false;
  };
  // `who`: for messages.
  nlohmann::json ask(const std::string& who, nlohmann::json request, ProgressListener* progress = nullptr) const;
  template <typename T>
  std::optional<T> ask_encoder_or_noise(const char* what, const ResolvedPlugin& plugin,
                                        const nlohmann::json& about = {}) const;
  nlohmann::json ask_plugin(const char* what, const ResolvedPlugin& plugin, const nlohmann::json& about = {}) const;
  std::unique_ptr<Worker> take_worker(const std::string& who) const;
  void give_back(std::unique_ptr<Worker> worker) const;
  // The isolated ones among them, for messages; "" when there is none.
  std::string suspects(const std::vector<const ResolvedPlugin*>& plugins) const;
  static std::vector<const ResolvedPlugin*> plugins_of(const Plan& plan, const CheckpointJob& job);
  static std::vector<const ResolvedPlugin*> plugins_of(const Plan& plan, const FineTuneJob& job);

  std::vector<std::string> libraries_;
  IsolationOptions options_;
  PluginInspector inspector_;
  nlohmann::json plan_request_;  // null before plan_with()
  mutable std::mutex mutex_;     // of the idle workers
  mutable std::vector<std::unique_ptr<Worker>> idle_;
};

// Whether a plugin runs in a worker; without `isolation` none does.
bool is_isolated(const Isolation* isolation, const ResolvedPlugin& plugin);

}  // namespace nmlbench
