// The command line: one file per verb, each adding its subcommand to the program.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace nmlbench {
struct MergeResult;
}

namespace nmlbench::cli {

// Exit statuses (DESIGN 5).
inline constexpr int kDone = 0;
inline constexpr int kSomeCellsFailed = 1;
inline constexpr int kDamaged = 1;
inline constexpr int kRowsDiffer = 1;
inline constexpr int kBadInput = 2;
inline constexpr int kInterrupted = 130;

// Options that every verb understands.
struct Globals {
  std::vector<std::filesystem::path> plugin_dirs;
  bool allow_shared_plugins = false;  // in folders that others can write
  std::filesystem::path cache_dir;    // empty: NMLBENCH_CACHE_DIR, else $XDG_CACHE_HOME/nmlbench
  double image_cache_gb = 50;         // 1e9 bytes
  int threads = 0;                    // 0: all cores
  bool quiet = false;
  bool verbose = false;
  std::string command_line;  // as typed
};

// What the chosen verb does; returns the exit status. Errors a user can mend are thrown as nmlbench::Error and
// printed by main() as one line, status 2.
using Action = std::function<int()>;

void add_run(CLI::App& app, Globals& globals, Action& action);
void add_plan(CLI::App& app, Globals& globals, Action& action);
void add_pretrain(CLI::App& app, Globals& globals, Action& action);
void add_plugins(CLI::App& app, Globals& globals, Action& action);
void add_new_plugin(CLI::App& app, Globals& globals, Action& action);
void add_leaderboard(CLI::App& app, Globals& globals, Action& action);
void add_claims(CLI::App& app, Globals& globals, Action& action);
void add_posthoc(CLI::App& app, Globals& globals, Action& action);
void add_throughput(CLI::App& app, Globals& globals, Action& action);
void add_compare(CLI::App& app, Globals& globals, Action& action);
void add_show(CLI::App& app, Globals& globals, Action& action);
void add_quoting_show(CLI::App& app, Globals& globals, Action& action);  // the same verb, with --texts
void add_export(CLI::App& app, Globals& globals, Action& action);
void add_report(CLI::App& app, Globals& globals, Action& action);
void add_illustrated_report(CLI::App& app, Globals& globals, Action& action);  // the same verb, with --images
// One line of the log for each.
void report_conflicts(const MergeResult& result);
void add_merge(CLI::App& app, Globals& globals, Action& action);
void add_features(CLI::App& app, Globals& globals, Action& action);
void add_checkpoints(CLI::App& app, Globals& globals, Action& action);
void add_sheet(CLI::App& app, Globals& globals, Action& action);
void add_status(CLI::App& app, Globals& globals, Action& action);
void add_submit(CLI::App& app, Globals& globals, Action& action);
void add_verify(CLI::App& app, Globals& globals, Action& action);
void add_worker(CLI::App& app, Globals& globals, Action& action);
void add_doctor(CLI::App& app, Globals& globals, Action& action);

}  // namespace nmlbench::cli
