// What the engine tells the outside while it works. Implemented above (command line), called from worker threads.
#pragma once

#include "records/records.h"

#include <cstdint>
#include <string>
#include <vector>

namespace nmlbench {

// Takes results as they are finished. The engine serialises the calls.
class ResultSink {
 public:
  virtual ~ResultSink() = default;
  virtual void cells(const std::vector<CellRecord>& cells) = 0;  // one stack
  virtual void stage(const StageRecord& stage) = 0;
  virtual void noise(const NoiseRecord& noise) = 0;
  virtual void alignment(const AlignmentRecord&) {}
};

// An epoch of a checkpoint's pre-training that is over.
struct EpochReport {
  std::string checkpoint;  // its id
  std::string name;        // for people: "resnet-tiny, symmetric 0.3, seed 1"
  std::int64_t epoch = 0, epochs = 0;
  double loss = 0;  // its mean
};

// Shows how far a phase is. [any-thread]
class ProgressListener {
 public:
  virtual ~ProgressListener() = default;
  // A phase of `total` units of work ("images", "head-steps") begins.
  virtual void begin(const std::string& phase, double total, const std::string& unit) = 0;
  virtual void advance(double units) = 0;
  // Its weights are in the cache, or on the way there: what throws Interrupted loses nothing.
  virtual void epoch(const EpochReport& report) = 0;
  virtual void end() = 0;
};

// Shows nothing.
class NoProgress : public ProgressListener {
 public:
  void begin(const std::string&, double, const std::string&) override {}
  void advance(double) override {}
  void epoch(const EpochReport&) override {}
  void end() override {}
};

}  // namespace nmlbench
