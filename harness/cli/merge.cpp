#include "results/store/merge.h"

#include "cli/cli.h"
#include "results/store/worker_folder.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace nmlbench::cli {
namespace {

struct MergeOptions {
  std::filesystem::path out;
  std::vector<std::filesystem::path> inputs;
};

int merge(const MergeOptions& options) {
  const MergeResult result =
      options.inputs.empty() ? WorkerFolder(options.out).merge() : merge_databases(options.out, options.inputs);
  report_conflicts(result);
  for (const auto& [matrix, cells] : result.superseded) {
    spdlog::warn(
        "{}: the databases have different plans of it (other seeds, say), of which the newest counts: boards leave out "
        "{} cells that it lacks (--all shows them); to have them all, run the matrix with all of it once, which "
        "computes nothing again",
        matrix, cells);
  }
  fmt::print("{}: {} cells added, {} failed cells replaced, {} identical, {} in conflict\n", options.out.string(),
             result.added, result.replaced, result.identical, result.conflicts.size());
  return result.conflicts.empty() ? kDone : kSomeCellsFailed;
}

}  // namespace

void report_conflicts(const MergeResult& result) {
  for (const MergeConflict& conflict : result.conflicts) {
    spdlog::error("{}: cell {} has another result: {}", conflict.input.string(), conflict.cell_id, conflict.what);
  }
}

void add_merge(CLI::App& app, Globals&, Action& action) {
  auto* verb = app.add_subcommand(
      "merge", "Unite the databases of shards, or of the workers of a run; the first result of a cell is kept");
  auto options = std::make_shared<MergeOptions>();
  verb->add_option("out", options->out, "Database to add to; created when missing")->required();
  verb->add_option("in", options->inputs, "Databases to read; none: those that the workers of OUT have left");
  verb->callback([&action, options] { action = [options] { return merge(*options); }; });
}

}  // namespace nmlbench::cli
