// The encodings that cells read: which, made where the cache lacks them, and why some are not there.
#pragma once

#include "engine/executor.h"

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace nmlbench {

// Plan::encodings that a cell, or a trial, reads. Both number tuners and encodings alike.
std::vector<std::size_t> features_of(const Plan& plan, const Cell& cell);
// With those of its trials.
std::set<std::size_t> features_with_trials(const Plan& plan, const Cell& cell);

class NeededFeatures {
 public:
  NeededFeatures(const Plan& plan, const ExecutorOptions& options, ArtifactCache& cache, ResultSink& sink,
                 ProgressListener& progress)
      : plan_(plan), options_(options), cache_(cache), sink_(sink), progress_(progress) {}

  std::vector<std::size_t> of(const Cell& cell) const { return features_of(plan_, cell); }
  std::set<std::size_t> with_trials(const Cell& cell) const { return features_with_trials(plan_, cell); }

  // Makes what the cache lacks, and returns, and remembers, what could not be made. What failed before is not tried
  // again.
  std::map<std::size_t, Failure> make(std::set<std::size_t> wanted, const EngineOptions& options);
  // The same by the executor's own options; in a shared run they are there, unless they were lost meanwhile.
  void require(std::set<std::size_t> wanted);
  // Of another process: why the encoding of this id is not there.
  void learn(const std::string& encoding, const Failure& failure) { failures_.emplace(encoding, failure); }

  // Why those of a cell, or a trial, are not there, or without a message.
  Failure missing(const Cell& cell) const;
  Failure missing_with_trials(const Cell& cell) const;

 private:
  template <typename Encodings>
  Failure first_failure(const Encodings& encodings) const;

  const Plan& plan_;
  const ExecutorOptions& options_;
  ArtifactCache& cache_;
  ResultSink& sink_;
  ProgressListener& progress_;
  std::map<std::string, Failure> failures_;  // by the ids of encodings
};

}  // namespace nmlbench
