// Test samples, out of the data sets of the matrices that a database's newest runs recorded.
#pragma once

#include "cli/recorded_matrix.h"
#include "results/boards/sample_quotes.h"

#include <nmlbench/dataset.h>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nmlbench::cli {

// One of the two.
struct RecordedSample {
  torch::Tensor image;  // uint8 [1, C, H, W]
  std::optional<Text> text;
};

class RecordedSamples {
 public:
  RecordedSamples(const Globals& globals, const Store& store) : globals_(with_absolute_paths(globals)), store_(store) {}

  // Calls use(i, sample) for each place i. Returns which test sets have no `what` ("pictures"), and why: they cannot be
  // read, or use() threw an Error; "" where all have.
  std::string read(const std::vector<SamplePlace>& places, const std::string& what,
                   const std::function<void(std::size_t i, const RecordedSample& sample)>& use);

 private:
  struct Planned {
    RecordedRun run;
    PlannedMatrix matrix;
  };
  struct Opened {
    std::unique_ptr<Dataset> dataset;
    SampleKind kind = SampleKind::image;
    torch::Tensor rows;  // int64, of each sample as it is scored
  };

  RecordedSample sample_at(const SamplePlace& place);
  const Opened& opened(const SamplePlace& place);
  const Planned& plan_of(const std::string& task);

  Globals globals_;
  const Store& store_;
  std::map<std::string, std::unique_ptr<Planned>> plans_;  // by the recorded matrix
  std::map<std::pair<std::string, std::string>, Opened> tests_;
};

// The sentence, or the pair of them, in `longest` bytes at most.
std::string quoted(const Text& text, std::size_t longest);

}  // namespace nmlbench::cli
