// What of an encoder's features changes with the out-of-domain accuracy that noise in pre-training costs: over noisy
// checkpoints, each against its clean twin (docs/STATISTICS.md, "What predicts OOD loss"). Internal to results/.
#pragma once

#include "results/boards/rank_correlation.h"
#include "results/store/store.h"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace nmlbench {

struct DiagnosticRow {
  std::string diagnostic;  // a metric of the encoder's features, or kPrincipalAngle
  RankCorrelation correlation;
};

inline constexpr const char* kPrincipalAngle = "principal angle";

struct DiagnosticBoard {
  std::vector<DiagnosticRow> rows;  // the closest to 1 or -1 first
  std::size_t checkpoints = 0;      // noisy ones with a clean twin and OOD accuracies
  std::size_t twins = 0;
  std::size_t without_angle = 0;  // of them: features of both were never together
};

// No rows where checkpoints or twins are too few (rank_correlation.h). Throws Error where clean twins are ambiguous.
DiagnosticBoard query_diagnostics(const Store& store);

}  // namespace nmlbench
