// How the numbers of a board came about, as far as the database tells. Internal to results/.
#pragma once

#include "results/boards/leaderboard.h"

#include <string>

namespace nmlbench {

// What differs between two seeds, since an interval over seeds says nothing of what they share: a sentence about the
// encoders that the query's matrix and filters leave; "" where no encoder has two seeds.
std::string what_seeds_vary(const Store& store, const LeaderboardQuery& query);
// How many cells the board leaves out because the newest plan of their matrix does not have them; "" for none.
std::string what_is_superseded(const Store& store, const LeaderboardQuery& query);
// Of which rows the spectra are that a metric without a direction describes, and how they were centred: both change its
// values. "" for other metrics, and where no spectra are stored.
std::string what_spectra_are_of(const Store& store, const std::string& metric);

}  // namespace nmlbench
