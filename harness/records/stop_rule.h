// Until when a matrix is run with more seeds: [stop] of a matrix, which its run records.
#pragma once

#include "records/claim.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nmlbench {

struct StopRule {
  std::vector<Claim> claims;
  std::string metric = "accuracy";
  double effect = 0.0;  // the smallest difference that matters: percentage points of a share, else the metric's unit
  double level = 0.05;  // the rate of any false verdict at any time, over all claims
  std::int64_t max_seeds = 0;
  std::int64_t batch = 4;  // seeds that are added at a time
};

// Seeds that a matrix lists are its first batch; what is added continues upward from the largest of them.
struct SeedBatches {
  std::optional<std::int64_t> first_added;  // none: nothing is ever added
  std::int64_t size = 1;

  std::int64_t batch_of(std::int64_t seed) const {
    return first_added && seed >= *first_added ? 1 + (seed - *first_added) / size : 0;
  }
};

// As JSON text, and back. Throws Error for text of another version.
std::string to_json(const StopRule& rule);
StopRule stop_rule_from_json(const std::string& text);

}  // namespace nmlbench
