#include "leaderboard.h"

#include "cli/cli.h"
#include "store.h"

#include <nmlbench/error.h>

#include <cstdlib>
#include <map>

#include <fmt/format.h>
#include <unistd.h>

namespace nmlbench::cli {
namespace {

struct LeaderboardOptions {
  std::filesystem::path db = "nmlbench.sqlite";
  LeaderboardQuery query;
  std::vector<std::string> where;
  std::string format = "table";
  bool json = false;
};

std::pair<std::string, std::string> column_and_value(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw Error(fmt::format("--where {}: expected COL=VALUE, for example noise_ratio=0.1", text));
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

TableFormat format_named(const std::string& name) {
  static const std::map<std::string, TableFormat> formats{{"table", TableFormat::table},
                                                          {"markdown", TableFormat::markdown},
                                                          {"csv", TableFormat::csv},
                                                          {"json", TableFormat::json},
                                                          {"latex", TableFormat::latex}};
  return formats.at(name);
}

int show_leaderboard(LeaderboardOptions options) {
  for (const std::string& text : options.where) options.query.where.push_back(column_and_value(text));
  const bool colour = isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  const TableFormat format = options.json ? TableFormat::json : format_named(options.format);
  const Store store = Store::open_read_only(options.db);
  fmt::print("{}", render_leaderboard(store, options.query, format, colour));
  return kDone;
}

}  // namespace

void add_leaderboard(CLI::App& app, Globals&, Action& action) {
  auto* verb = app.add_subcommand("leaderboard", "Rank what the results database holds");
  auto options = std::make_shared<LeaderboardOptions>();
  LeaderboardQuery& query = options->query;
  verb->add_option("--db", options->db, "Results database")->envname("NMLBENCH_DB")->capture_default_str();
  verb->add_option("--group-by", query.group_by,
                   "Columns, comma-separated; default: tuner,noise,noise_ratio and what else varies")
      ->delimiter(',');
  verb->add_option("--kind", query.kind, "Only these test sets: id or ood")->check(CLI::IsMember({"id", "ood"}));
  verb->add_option("--where", options->where, "COL=VALUE: only these cells (repeatable)")->allow_extra_args(false);
  verb->add_option("--metric", query.metric, "accuracy, loss, ece, sve, lsvr, ...")->capture_default_str();
  verb->add_option("--matrix", query.matrix, "Only cells of this matrix; default: all");
  verb->add_option("--baseline", query.baseline, "A tuner: adds the paired difference to it");
  verb->add_option("--sort", query.sort, "id, ood, cells, failed or a group-by column; default: the best first");
  verb->add_option("--top", query.top, "At most so many rows");
  auto* format = verb->add_option("--format", options->format, "How to print it")
                     ->check(CLI::IsMember({"table", "markdown", "csv", "json", "latex"}))
                     ->capture_default_str();
  verb->add_flag("--json", options->json, "Same as --format json")->excludes(format);
  verb->callback([&action, options] { action = [options] { return show_leaderboard(*options); }; });
}

}  // namespace nmlbench::cli
