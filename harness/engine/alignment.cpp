#include "engine/alignment.h"

#include "cache/feature_store.h"
#include "engine/spectrum.h"
#include "engine/workers.h"
#include "plan/identity_hash.h"
#include "plan/noise_names.h"
#include "plan/planned_cell.h"

#include <nmlbench/error.h>
#include <nmlbench/one_thread.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <numbers>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

namespace nmlbench {
namespace {

constexpr std::int64_t kDirections = 10;

bool is_noisy(const Checkpoint& checkpoint) {
  return checkpoint.trained() ? !changes_nothing(checkpoint.noise) : checkpoint.noise_ratio().value_or(0) > 0;
}

// Equal in all but noise.
bool are_twins(const Checkpoint& a, const Checkpoint& b) {
  if (a.seed != b.seed || a.split != b.split || a.encoder.identity() != b.encoder.identity()) return false;
  if (a.trained())
    return a.optim.canonical == b.optim.canonical && a.encoder.params.values() == b.encoder.params.values();
  return a.stated && b.stated && b.stated->noise_ratio == 0.0 && a.encoder_name() == b.encoder_name() &&
         a.stated->dataset == b.stated->dataset;
}

// What is to be measured against one encoding of a clean checkpoint.
struct Clean {
  std::size_t encoding = 0;
  std::map<std::size_t, AlignmentRecord> noisy;  // by encoding; without the angle
};

class AlignmentJobs {
 public:
  explicit AlignmentJobs(const Plan& plan) : plan_(plan) {
    for (std::size_t i = 0; i < plan.encodings.size(); ++i) {
      const Encoding& encoding = plan.encodings[i];
      if (encoding.views.count == 0) encoding_of_[{encoding.checkpoint, readout_of(encoding), encoding.split}] = i;
    }
    for (std::size_t i = 0; i < plan.checkpoints.size(); ++i) twins_.push_back(clean_twin(plan, i));
  }

  std::vector<Clean> make() {
    for (const Cell& cell : plan_.cells) {
      if (!twins_[cell.checkpoint]) continue;
      for (std::size_t i = 0; i < cell.tests.size(); ++i) add(cell, i);
    }
    std::vector<Clean> jobs;
    for (auto& [encoding, clean] : clean_) jobs.push_back(std::move(clean));
    return jobs;
  }

 private:
  void add(const Cell& cell, std::size_t test) {
    const std::size_t twin = *twins_[cell.checkpoint];
    const Task& task = plan_.tasks[cell.task];
    const std::optional<std::size_t> other = encoding_of_twin(task, test, twin, plan_.encoder(cell).readout);
    if (!other) return;
    Clean& clean = clean_[*other];
    clean.encoding = *other;
    AlignmentRecord& record = clean.noisy[cell.tests[test]];
    if (!record.id.empty()) return;
    record.id = identity_hash("alignment/1", {plan_.encodings[cell.tests[test]].id, plan_.encodings[*other].id,
                                              std::to_string(kDirections), std::to_string(plan_.analysis.max_rows)});
    record.checkpoint_id = plan_.checkpoints[cell.checkpoint].id;
    record.twin_id = plan_.checkpoints[twin].id;
    record.encoder_params = encoder_params(plan_, cell);
    record.task = task.name;
    record.test_set = task.tests[test].name;
    record.test_kind = task.tests[test].ood ? "ood" : "id";
  }

  // Where files' names depend on the checkpoint, the twin has a task of its own.
  std::optional<std::size_t> encoding_of_twin(const Task& task, std::size_t test, std::size_t twin,
                                              const std::string& readout) const {
    for (const Task& own : plan_.tasks) {
      if (own.spec != task.spec) continue;
      const auto found = encoding_of_.find({twin, readout, own.tests[test].split});
      if (found != encoding_of_.end() && own.tests[test].name == task.tests[test].name) return found->second;
    }
    return std::nullopt;
  }

  const std::string& readout_of(const Encoding& encoding) const {
    return plan_.checkpoints[encoding.checkpoint].readouts[encoding.readout].readout;
  }

  const Plan& plan_;
  std::map<std::tuple<std::size_t, std::string, std::size_t>, std::size_t> encoding_of_;  // checkpoint, readout, split
  std::vector<std::optional<std::size_t>> twins_;
  std::map<std::size_t, Clean> clean_;
};

class AlignmentMeter {
 public:
  AlignmentMeter(const Plan& plan, const EngineOptions& options, ArtifactCache& cache, ResultSink& sink)
      : plan_(plan), options_(options), cache_(cache), sink_(sink) {}

  void measure(const Clean& clean) {
    std::optional<Features> of_clean;
    torch::Tensor rows, basis;
    for (const auto& [encoding, planned] : clean.noisy) {
      if (options_.stop != nullptr && options_.stop->load()) throw Interrupted();
      AlignmentRecord record = planned;
      if (!is_known(record)) {
        const bool noisy_lacks = lacks(encoding), clean_lacks = lacks(clean.encoding);
        if (noisy_lacks || clean_lacks) continue;
        if (!of_clean) {
          of_clean = require_features(cache_, plan_.encodings[clean.encoding].id);
          rows = spectrum_rows(of_clean->x.size(0), plan_.analysis.max_rows);
          basis = leading_directions(of_clean->x.index_select(0, rows), kDirections);
        }
        const Features noisy = require_features(cache_, plan_.encodings[encoding].id);
        if (!torch::equal(noisy.y, of_clean->y)) continue;  // files of other samples
        const torch::Tensor own = leading_directions(noisy.x.index_select(0, rows), kDirections);
        if (own.size(1) == 0 || basis.size(1) == 0) continue;  // all samples look the same to one of them
        record.samples = rows.size(0);
        record.directions = std::min(own.size(1), basis.size(1));
        record.angle = mean_principal_angle(basis, own);
        cache_.publish(ArtifactKind::measurement, record.id, cache_.stage(),
                       {{"what", "principal angles"},
                        {"angle", record.angle},
                        {"directions", record.directions},
                        {"samples", record.samples}});
      }
      const std::lock_guard lock(mutex_);
      sink_.alignment(record);
    }
  }

  std::set<std::size_t> lacking() && { return std::move(lacking_); }

 private:
  bool lacks(std::size_t encoding) {
    if (cache_.find(ArtifactKind::features, plan_.encodings[encoding].id)) return false;
    const std::lock_guard lock(mutex_);
    lacking_.insert(encoding);
    return true;
  }

  bool is_known(AlignmentRecord& record) const {
    return cache_.use_about(ArtifactKind::measurement, record.id, [&](const nlohmann::json& about) {
      record.angle = about.at("angle").get<double>();
      record.directions = about.at("directions").get<std::int64_t>();
      record.samples = about.at("samples").get<std::int64_t>();
    });
  }

  const Plan& plan_;
  const EngineOptions& options_;
  ArtifactCache& cache_;
  ResultSink& sink_;
  std::mutex mutex_;               // of the sink and of what follows
  std::set<std::size_t> lacking_;  // encodings
};

}  // namespace

torch::Tensor leading_directions(const torch::Tensor& features, std::int64_t k) {
  const OneThread serial;
  const torch::Tensor x = centred_unit_rows(features, /*center_rows=*/false);
  // of the smaller Gram matrix, whose leading eigenvectors are well conditioned
  const bool tall = x.size(0) >= x.size(1);
  const auto [eigenvalues, vectors] = torch::linalg_eigh(tall ? x.t().mm(x) : x.mm(x.t()));
  constexpr double kRounding = 1e-10;  // of the largest eigenvalue
  const std::int64_t rank = (eigenvalues > kRounding * eigenvalues[-1].clamp_min(1e-300)).sum().item<std::int64_t>();
  if (rank == 0) return x.new_empty({x.size(0), 0});
  const torch::Tensor leading = vectors.slice(1, vectors.size(1) - std::min(k, rank));
  return tall ? std::get<0>(torch::linalg_qr(x.mm(leading), "reduced")) : leading;
}

double mean_principal_angle(const torch::Tensor& a, const torch::Tensor& b) {
  const OneThread serial;
  const torch::Tensor cosines = torch::linalg_svdvals(a.t().mm(b)).clamp(0, 1);
  return cosines.acos().mean().item<double>() * 180 / std::numbers::pi;
}

std::optional<std::size_t> clean_twin(const Plan& plan, std::size_t checkpoint) {
  if (!is_noisy(plan.checkpoints[checkpoint])) return std::nullopt;
  for (std::size_t i = 0; i < plan.checkpoints.size(); ++i) {
    if (!is_noisy(plan.checkpoints[i]) && are_twins(plan.checkpoints[checkpoint], plan.checkpoints[i])) return i;
  }
  return std::nullopt;
}

std::set<std::size_t> measure_alignments(const Plan& plan, const EngineOptions& options, ArtifactCache& cache,
                                         ResultSink& sink) {
  const std::vector<Clean> jobs = AlignmentJobs(plan).make();
  AlignmentMeter meter(plan, options, cache, sink);
  const auto workers =
      static_cast<int>(std::clamp<std::size_t>(jobs.size(), 1, static_cast<std::size_t>(std::max(1, options.threads))));
  run_workers(workers, options.threads, jobs.size(), [&](std::size_t i) { meter.measure(jobs[i]); });
  return std::move(meter).lacking();
}

}  // namespace nmlbench
