// What a run has got so far, and how that looks on one screen. Pure: no clock, no terminal, no thread.
#pragma once

#include "engine/hooks.h"
#include "records/records.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace nmlbench::cli {

struct LiveState {
  struct Phase {
    std::string name, unit;
    double total = 0, done = 0;
    double seconds = 0;  // since it began; its whole time once it ended
    bool ended = false;
  };
  // Sums over the timed stage runs of one kind.
  struct Throughput {
    std::string unit;
    double items = 0, seconds = 0;
  };
  // Accuracy of a tuner's finished cells on one kind of test set; a cell counts with the mean of its test sets.
  struct Accuracy {
    double best = 0, sum = 0;
    std::int64_t cells = 0;
  };
  struct Tuner {
    std::int64_t cells = 0;
    Accuracy id, ood;
  };

  std::string title;       // of the matrix
  double seconds = 0;      // since the run began
  std::int64_t cells = 0;  // to do; 0 hides the line
  std::int64_t done = 0, failed = 0;
  std::vector<Phase> phases;                     // in the order they began
  std::map<std::string, EpochReport> training;   // checkpoints that have not finished, by id
  std::map<std::string, Throughput> throughput;  // by stage, tuning of encoders apart
  std::map<std::string, Tuner> tuners;           // by name

  void add(const CellRecord& cell);
  void add(const StageRecord& stage);
  void add(const EpochReport& report);
};

// The screen, one line after the other, no line wider than `width` columns and at most `height` of them: bars, names
// and rates get shorter down to 70 columns; what does not fit then is cut, from the right and from the bottom.
std::vector<std::string> render(const LiveState& state, int width, int height);

// One line about a phase, for logs: "tune, evaluate: 42 % of 540 heads, ETA 1:03".
std::string one_line(const LiveState::Phase& phase);

// "0:42", "12:05", "3:04:05"
std::string format_duration(double seconds);
// "3.9k", "12", "1.2M"
std::string format_count(double value);

}  // namespace nmlbench::cli
