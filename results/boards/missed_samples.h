// The test samples that one cell is wrong about.
#pragma once

#include "results/boards/leaderboard.h"
#include "results/boards/sample_quotes.h"
#include "results/store/store.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace nmlbench {

struct MissedSample {
  std::string task, test_set, test_kind;
  std::int64_t sample = 0;  // its index in the test set, from 0
  std::int64_t label = 0, predicted = 0;
  double p_true = 0.0;  // what its class got, in steps of 1/255
};

struct MissedSamples {
  std::string cell_id, tuner;
  std::vector<MissedSample> rows;  // those whose class got least first
  std::size_t missed = 0;          // of which `rows` are the first
  std::size_t samples = 0;         // that were looked at
};

// `cell_id`: a whole one. `kind`: only test sets of this kind, "id" or "ood"; "": all. `limit`: rows at most. Throws
// Error: the cell has no predictions.
MissedSamples query_missed_samples(const Store& store, const std::string& cell_id, const std::string& kind,
                                   std::size_t limit);

std::string render(const MissedSamples& board, TableFormat format, bool colour = false,
                   const SampleQuotes& quotes = {});

}  // namespace nmlbench
