// What test samples say, where they are texts. Results know nothing of data sets: the command line hands it in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nmlbench {

// Where to look for a sample.
struct SamplePlace {
  std::string task, test_set;
  std::int64_t sample = 0;  // its index in the test set, from 0
};

struct SampleQuotes {
  std::vector<std::string> texts;  // for each row of a board the sample, "" where it is not known; empty: not asked for
  std::string note;                // why some are missing, for the reader; or ""
};

// The places of a board's rows.
template <typename Board>
std::vector<SamplePlace> places_of(const Board& board) {
  std::vector<SamplePlace> places;
  for (const auto& row : board.rows) places.push_back({row.task, row.test_set, row.sample});
  return places;
}

}  // namespace nmlbench
