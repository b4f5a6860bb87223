#include "engine/needed_features.h"

#include "engine/encodings.h"
#include "engine/tune.h"
#include "plan/trials.h"

#include <utility>

namespace nmlbench {

std::vector<std::size_t> features_of(const Plan& plan, const Cell& cell) {
  std::vector<std::size_t> encodings = cell.tests;
  if (reads_training_features(plan, cell)) encodings.push_back(cell.train);
  return encodings;
}

std::set<std::size_t> features_with_trials(const Plan& plan, const Cell& cell) {
  const std::vector<std::size_t> own = features_of(plan, cell);
  std::set<std::size_t> all(own.begin(), own.end());
  for (const Cell& trial : trials_of(plan, cell)) {
    for (const std::size_t encoding : features_of(plan, trial)) all.insert(encoding);
  }
  return all;
}

std::map<std::size_t, Failure> NeededFeatures::make(std::set<std::size_t> wanted, const EngineOptions& options) {
  std::erase_if(wanted, [&](std::size_t encoding) { return failures_.count(plan_.encodings[encoding].id) > 0; });
  std::map<std::size_t, Failure> failures = make_encodings(plan_, wanted, options, cache_, sink_, progress_);
  for (const auto& [encoding, failure] : failures) learn(plan_.encodings[encoding].id, failure);
  return failures;
}

void NeededFeatures::require(std::set<std::size_t> wanted) {
  EngineOptions options = options_;
  if (options_.board != nullptr) {
    options.validate = [](const Checkpoint&) { return false; };
    std::erase_if(wanted, [&](std::size_t encoding) {
      return cache_.find(ArtifactKind::features, plan_.encodings[encoding].id).has_value();
    });
  }
  make(std::move(wanted), options);
}

Failure NeededFeatures::missing(const Cell& cell) const {
  return first_failure(of(cell));
}

Failure NeededFeatures::missing_with_trials(const Cell& cell) const {
  return failures_.empty() ? Failure() : first_failure(with_trials(cell));
}

template <typename Encodings>
Failure NeededFeatures::first_failure(const Encodings& encodings) const {
  for (const std::size_t encoding : encodings) {
    const auto found = failures_.find(plan_.encodings[encoding].id);
    if (found != failures_.end()) return found->second;
  }
  return {};
}

}  // namespace nmlbench
