// What every board says of itself: the lines under a table that tell what its numbers are about, and their counterpart
// in JSON. Internal to results/.
#pragma once

#include "records/metrics.h"
#include "results/boards/leaderboard.h"

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace nmlbench {

// "Unit: seed, n = 3 (each the mean over 4 tasks); ±: 95 % t interval; p: paired t test, Holm-corrected over the rows."
// `scores`: of the rows, nulls are left out. `family`: over what p values are corrected; "" for a board without tests.
std::string inference_note(const Inference& how, const std::vector<const Score*>& scores, std::string_view family);
// What the column of --power holds.
std::string power_note(const Inference& how);
// "ID seeds for 80 %", its header.
std::string power_header(const Inference& how, const std::string& label);
// How many seeds lack a task; "" where all have all.
std::string left_out_note(const std::vector<const Score*>& scores);

// Whether one of them is not null.
bool has_any(const std::vector<const Score*>& scores);
template <typename Estimated>
const Score* pointer_to(const std::optional<Estimated>& score) {
  return score ? &*score : nullptr;
}

// All of them; higher_is_better is null for a metric without a direction.
nlohmann::ordered_json facts_of(const BoardFacts& board);

}  // namespace nmlbench
