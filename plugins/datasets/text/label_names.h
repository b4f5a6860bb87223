// Classes of sentence tasks: the same names where training on one data set may be tested on another.
#pragma once

#include "labelled_texts.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace nmlbench::plugins {

inline const std::vector<std::string> kSentiment = {"negative", "positive"};
inline const std::vector<std::string> kParaphrase = {"not_paraphrase", "paraphrase"};
inline const std::vector<std::string> kEntailment = {"entailment", "not_entailment"};
inline const std::vector<std::string> kInference = {"entailment", "neutral", "contradiction"};
inline const std::vector<std::string> kScores = {"0", "1", "2", "3", "4", "5"};  // of similarity, rounded

// Number of the row's label among `labels`. Throws DataError.
inline std::int64_t place_in(const std::vector<std::string>& labels, const TextRow& row,
                             const std::filesystem::path& file) {
  const auto found = std::find(labels.begin(), labels.end(), row.label);
  if (found != labels.end()) return found - labels.begin();
  std::string known;
  for (const std::string& label : labels) known += (known.empty() ? "" : ", ") + label;
  throw DataError(at_line(file, row.line) + ": the label \"" + row.label + "\" is none of " + known);
}

// The row's label as a score in [low, high]. Throws DataError.
inline double score_of(const TextRow& row, double low, double high, const std::filesystem::path& file) {
  double score = NAN;
  const char* last = row.label.data() + row.label.size();
  const auto [end, error] = std::from_chars(row.label.data(), last, score);
  if (error == std::errc() && end == last && score >= low && score <= high) return score;
  throw DataError(at_line(file, row.line) + ": \"" + row.label + "\" is no score from " +
                  std::to_string(std::lround(low)) + " to " + std::to_string(std::lround(high)));
}

// The class of a score: the nearest whole number, halves up.
inline std::int64_t rounded(double score) {
  return static_cast<std::int64_t>(std::floor(score + 0.5));
}

}  // namespace nmlbench::plugins
