// [stop] of a matrix: runs it with more and more seeds until its claims are decided.
#pragma once

#include "config/matrix_spec.h"
#include "plan/plan.h"
#include "results/boards/claims.h"

#include <filesystem>
#include <functional>

namespace nmlbench::cli {

// The matrix with that many seeds.
MatrixSource with_seeds(MatrixSource source, std::int64_t seeds);

// With how many seeds to go on: those of `spec`, and the whole batches behind them of which the database has a cell.
// `plan` plans a source.
std::int64_t seeds_reached(const std::filesystem::path& db, const MatrixSource& source, const MatrixSpec& spec,
                           const std::function<Plan(const MatrixSource&)>& plan);

// Calls `run` with `seeds` seeds, then with one batch more each time; what a call has run is in the database when it
// returns its exit status. Ends when every claim has a verdict, at max_seeds, when a batch has brought no undecided
// claim a seed that counts, and, with `fail_fast`, at a failure. Returns the claims as they are then.
ClaimsBoard run_until_decided(const std::filesystem::path& db, const MatrixSource& source, const MatrixSpec& spec,
                              std::int64_t seeds, bool fail_fast, const std::function<int(const MatrixSource&)>& run);

}  // namespace nmlbench::cli
