#include "engine/encodings.h"

#include "engine/checkpoint_job.h"
#include "engine/isolation.h"
#include "engine/process.h"
#include "engine/upstream.h"
#include "engine/workers.h"

#include <algorithm>
#include <mutex>

#include <ATen/Parallel.h>
#include <spdlog/spdlog.h>

namespace nmlbench {
namespace {

class EncodingMaker {
 public:
  EncodingMaker(const Plan& plan, const EngineOptions& options, ArtifactCache& cache, ResultSink& sink,
                ProgressListener& progress)
      : plan_(plan), options_(options), cache_(cache), sink_(sink), progress_(progress) {}

  std::map<std::size_t, Failure> run(const std::set<std::size_t>& wanted) {
    std::vector<CheckpointJob> jobs;
    double images = 0;
    SplitPool of_known(plan_, std::vector<std::size_t>(plan_.splits.size(), plan_.checkpoints.size() + 1));
    for (CheckpointJob& job : make_jobs(wanted)) {
      if (job.encodings.empty() && !job.validate) {
        report_known_noise(job, of_known);
        continue;
      }
      images += job_images(plan_, job, cache_);
      jobs.push_back(std::move(job));
    }
    if (jobs.empty()) return {};
    SplitPool splits(plan_, uses_of_splits(plan_, jobs, cache_));
    const int workers = worker_count(jobs), share = std::max(1, options_.threads / workers);
    progress_.begin("pre-train, encode", images, plan_.sample_unit());
    run_workers(
        workers, options_.threads, jobs.size(),
        [&](std::size_t i) {
          at::set_num_threads(job_threads(plan_.checkpoints[jobs[i].checkpoint], share));
          run_job(jobs[i], splits);
        },
        [&] { return abandon_.load(); });
    progress_.end();
    return std::move(errors_);
  }

 private:
  // One job for each checkpoint; its encodings are those that the cache lacks. All that are there are read to see that
  // they are whole: later, in the middle of tuning, nobody could make them again.
  std::vector<CheckpointJob> make_jobs(const std::set<std::size_t>& wanted) const {
    const std::vector<std::size_t> encodings(wanted.begin(), wanted.end());
    std::vector<char> there(encodings.size());
    const auto readers = static_cast<int>(
        std::clamp<std::size_t>(encodings.size(), 1, static_cast<std::size_t>(std::max(1, options_.threads))));
    run_workers(readers, options_.threads, encodings.size(), [&](std::size_t i) {
      if (options_.stop != nullptr && options_.stop->load()) throw Interrupted();
      there[i] = cache_.find(ArtifactKind::features, plan_.encodings[encodings[i]].id) ? 1 : 0;
    });
    std::map<std::size_t, std::vector<std::size_t>> missing;
    for (std::size_t i = 0; i < encodings.size(); ++i) {
      std::vector<std::size_t>& of_checkpoint = missing[plan_.encodings[encodings[i]].checkpoint];
      if (there[i] == 0) of_checkpoint.push_back(encodings[i]);
    }
    for (const Cell& cell : plan_.cells) {  // also where there is nothing left to encode
      if (validates(cell.checkpoint) && plan_.obstacle(cell).empty()) missing.try_emplace(cell.checkpoint);
    }
    std::vector<CheckpointJob> jobs;
    jobs.reserve(missing.size());
    for (auto& [checkpoint, lacking] : missing) {
      const Checkpoint& own = plan_.checkpoints[checkpoint];
      // nothing is trained again for this alone
      const bool possible = !lacking.empty() || cache_.has(ArtifactKind::checkpoint, own.id);
      const bool validate = possible && validates(checkpoint) && !known_upstream(own, cache_);
      jobs.push_back({checkpoint, std::move(lacking), validate});
    }
    return jobs;
  }

  bool validates(std::size_t index) const {
    const Checkpoint& checkpoint = plan_.checkpoints[index];
    return checkpoint.validation && checkpoint.validation->test.obstacle.empty() && options_.validate(checkpoint);
  }

  // Everything is encoded already, but this database may not know the checkpoint yet, nor the cache have it any longer.
  void report_known_noise(const CheckpointJob& job, SplitPool& splits) {
    const Checkpoint& checkpoint = plan_.checkpoints[job.checkpoint];
    if (!checkpoint.trained()) return;
    NoiseRecord noise;
    try {
      noise = isolated(job) ? options_.isolation->known_noise(plan_, job.checkpoint)
                            : known_noise(plan_, checkpoint, cache_, splits);
    } catch (...) {
      const std::string why = message_of_current_exception();
      spdlog::warn("{}: its realised noise is not known: {}", checkpoint.noise_name(), why);
      return;
    }
    if (validates(job.checkpoint) && !noise.upstream_accuracy) {
      spdlog::warn("{}, {}, seed {}: its upstream accuracy is not known: the cache has lost the checkpoint",
                   checkpoint.encoder_name(), checkpoint.noise_name(), checkpoint.seed);
    }
    sink_.noise(noise);
  }

  bool isolated(const CheckpointJob& job) const {
    return options_.isolation != nullptr && options_.isolation->covers(plan_, job);
  }

  // A GPU takes one checkpoint at a time. On a CPU small encoders train fastest on few threads each, several at once.
  int worker_count(const std::vector<CheckpointJob>& jobs) const {
    if (!options_.device.is_cpu()) return 1;
    int trained = 0, threads = 1;
    for (const CheckpointJob& job : jobs) {
      const Checkpoint& checkpoint = plan_.checkpoints[job.checkpoint];
      trained += checkpoint.trained() ? 1 : 0;
      threads = std::max(threads, job_threads(checkpoint, 1));
    }
    const int most = std::max(1, options_.threads / threads);
    if (trained > 0 && trained < most) {
      spdlog::info(
          "{} checkpoints train on {} of {} CPU threads each; a larger optim.threads is faster, in other last bits",
          trained, threads, options_.threads);
    }
    return std::clamp(trained, 1, most);
  }

  void run_job(const CheckpointJob& job, SplitPool& splits) {
    const StageContext context{cache_, progress_, options_.device, options_.stop};
    CheckpointJobResult result = isolated(job) ? options_.isolation->run_job(plan_, job, cache_, progress_)
                                               : run_checkpoint_job(plan_, job, splits, context);
    const std::lock_guard lock(mutex_);
    for (const StageRecord& stage : result.stages) sink_.stage(stage);
    if (result.noise) sink_.noise(*result.noise);
    if (!result.errors.empty()) {
      spdlog::error("{}: {}", plan_.checkpoints[job.checkpoint].encoder_name(), result.errors.begin()->second.message);
    }
    for (auto& [encoding, failure] : result.errors) errors_[encoding] = std::move(failure);
    if (!result.errors.empty() && options_.fail_fast) abandon_ = true;
  }

  const Plan& plan_;
  const EngineOptions& options_;
  ArtifactCache& cache_;
  ResultSink& sink_;
  ProgressListener& progress_;

  std::mutex mutex_;  // of the sink and the errors
  std::map<std::size_t, Failure> errors_;
  std::atomic<bool> abandon_{false};
};

}  // namespace

std::map<std::size_t, Failure> make_encodings(const Plan& plan, const std::set<std::size_t>& wanted,
                                              const EngineOptions& options, ArtifactCache& cache, ResultSink& sink,
                                              ProgressListener& progress) {
  return EncodingMaker(plan, options, cache, sink, progress).run(wanted);
}

}  // namespace nmlbench
