// What the report says first. Internal to results/report.
#pragma once

#include "results/boards/leaderboard.h"
#include "results/store/store.h"

#include <kainjow/mustache.hpp>

namespace nmlbench {

// How much there is: [{"name", "value"}].
kainjow::mustache::data summary_facts(const Store& store);
// Sentences about the highest scores of a board of accuracies: unit, n, interval, and whether they are told from the
// baseline's; what a seed varied.
kainjow::mustache::data findings(const Leaderboard& board);

}  // namespace nmlbench
