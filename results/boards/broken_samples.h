// Which test samples noise in pre-training broke: heads that are right about them on clean pre-training and wrong on
// noisy pre-training, all else being the same.
#pragma once

#include "results/boards/leaderboard.h"
#include "results/boards/sample_quotes.h"
#include "results/store/store.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nmlbench {

// Of one sample: pairs of heads that differ in the noise alone, the clean one at realised noise 0, the noisy one at the
// highest level of its noise model.
struct BrokenSample {
  std::string task, test_set, test_kind, noise;
  std::optional<double> noise_rate;  // of the noisy heads (grouping.h)
  std::int64_t sample = 0;           // its index in the test set, from 0
  std::int64_t label = 0;
  std::size_t heads = 0;       // pairs
  std::size_t broken = 0;      // of them: right without noise, wrong with it
  std::size_t mended = 0;      // wrong without noise, right with it
  std::int64_t predicted = 0;  // what most of the broken heads take it for, the smaller class first
  std::size_t predicted_heads = 0;
  double probability_lost = 0.0;  // what the true class got without noise minus what it got with it, mean over pairs
};

struct BrokenSamples {
  std::vector<BrokenSample>
      rows;  // those that some head lost, by the share of broken less mended heads, then by the probability lost
  std::size_t samples = 0;          // that were looked at
  std::size_t lost = 0;             // of which `rows` are the first
  std::string without_predictions;  // a sentence about pairs that have none
};

// `limit`: rows at most. The query's filters, matrix and kind count. Throws Error: no clean or no noisy cells, no
// predictions.
BrokenSamples query_broken_samples(const Store& store, const LeaderboardQuery& query, std::size_t limit);

std::string render(const BrokenSamples& board, TableFormat format, bool colour = false,
                   const SampleQuotes& quotes = {});

}  // namespace nmlbench
