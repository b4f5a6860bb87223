#include "cli/until_decided.h"

#include "cli/cli.h"
#include "cli/plan_summary.h"
#include "config/stop_reader.h"
#include "results/store/store.h"

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace nmlbench::cli {
namespace {

std::int64_t next_batch(const StopRule& rule, std::int64_t seeds) {
  return std::min(rule.max_seeds, seeds + rule.batch);
}

ClaimsBoard claims_now(const std::filesystem::path& db, const std::string& matrix) {
  const Store store = Store::open_read_only(db);
  for (const RecordedStop& stop : recorded_stops(store)) {
    if (stop.matrix == matrix) return query_claims(store, {stop.rule, matrix, {}, stop});
  }
  throw Error(fmt::format("bug: the run of matrix {} recorded no [stop]", matrix));
}

// Whether a claim without a verdict has more seeds that count than before.
bool has_gained(const ClaimsBoard& before, const ClaimsBoard& now) {
  for (std::size_t i = 0; i < now.rows.size(); ++i) {
    const std::size_t seeds = before.rows.empty() ? 0 : before.rows[i].seeds;
    if (now.rows[i].verdict == ClaimVerdict::undecided && now.rows[i].seeds > seeds) return true;
  }
  return false;
}

void say_how_far(const ClaimsBoard& board, std::int64_t seeds, std::int64_t next) {
  const auto decided = std::count_if(board.rows.begin(), board.rows.end(),
                                     [](const ClaimRow& row) { return row.verdict != ClaimVerdict::undecided; });
  spdlog::info("{} of {} claims are decided with {} seeds; going on to {}", decided, board.rows.size(), seeds, next);
}

}  // namespace

MatrixSource with_seeds(MatrixSource source, std::int64_t seeds) {
  source.set.push_back(fmt::format("{}={}", kSeedsReached, seeds));
  return source;
}

std::int64_t seeds_reached(const std::filesystem::path& db, const MatrixSource& source, const MatrixSpec& spec,
                           const std::function<Plan(const MatrixSource&)>& plan) {
  const auto seeds = static_cast<std::int64_t>(spec.seeds.size());
  const KnownCells known = known_cells(db);
  if (known.done.empty() && known.failed.empty()) return seeds;
  const StopRule& rule = spec.stop->rule;
  const Plan all = plan(with_seeds(source, rule.max_seeds));
  std::int64_t batches = 0;  // behind the first one
  for (const Cell& cell : all.cells) {
    if (known.done.count(cell.id) > 0 || known.failed.count(cell.id) > 0)
      batches = std::max(batches, all.batches.batch_of(cell.seed));
  }
  const auto listed = std::count_if(spec.seeds.begin(), spec.seeds.end(),
                                    [&](std::int64_t seed) { return spec.batches.batch_of(seed) == 0; });
  return std::max(seeds, std::min(rule.max_seeds, listed + batches * rule.batch));
}

ClaimsBoard run_until_decided(const std::filesystem::path& db, const MatrixSource& source, const MatrixSpec& spec,
                              std::int64_t seeds, bool fail_fast, const std::function<int(const MatrixSource&)>& run) {
  ClaimsBoard before;
  while (true) {
    const int status = run(with_seeds(source, seeds));
    ClaimsBoard board = claims_now(db, spec.name);
    const std::int64_t next = next_batch(spec.stop->rule, seeds);
    if (board.decided() || next == seeds || (fail_fast && status != kDone)) return board;
    if (!has_gained(before, board)) {
      spdlog::warn(
          "no undecided claim has gained a seed that counts, so that more seeds would be in vain; mend what "
          "failed and give the same command again");
      return board;
    }
    say_how_far(board, seeds, next);
    seeds = next;
    before = std::move(board);
  }
}

}  // namespace nmlbench::cli
