#include "results/boards/throughput.h"

#include "cli/cli.h"
#include "cli/table_options.h"
#include "support/environment.h"

#include <fmt/format.h>
#include <unistd.h>

namespace nmlbench::cli {
namespace {

struct ThroughputOptions {
  std::filesystem::path db = "nmlbench.sqlite";
  ThroughputQuery query;
  std::vector<std::string> where;
  std::string by = "method";
  TableOptions table;
};

int show_throughput(ThroughputOptions options) {
  options.query.where = parse_where(options.where);
  const ThroughputTable table = options.by == "stage" ? ThroughputTable::stages : ThroughputTable::methods;
  const TableFormat format = options.table.table_format();
  const Store store = Store::open_read_only(options.db);
  fmt::print("{}", render(query_throughput(store, options.query), table, format, shows_colour(STDOUT_FILENO)));
  return kDone;
}

}  // namespace

void add_throughput(CLI::App& app, Globals&, Action& action) {
  auto* verb = app.add_subcommand("throughput", "What results cost: speed, memory, and accuracy against cost");
  auto options = std::make_shared<ThroughputOptions>();
  verb->add_option("--db", options->db, "Results database")->envname("NMLBENCH_DB")->capture_default_str();
  verb->add_option("--by", options->by, "method: accuracy and cost, Pareto front marked; stage: speed of every stage")
      ->check(CLI::IsMember({"method", "stage"}))
      ->capture_default_str();
  verb->add_option("--score", options->query.score, "What is weighed against cost: id, ood or harmonic");
  add_where_option(*verb, options->where);
  add_metric_option(*verb, options->query.metric);
  verb->add_option("--top", options->query.top, "At most so many methods");
  add_table_options(*verb, options->table);
  verb->callback([&action, options] { action = [options] { return show_throughput(*options); }; });
}

}  // namespace nmlbench::cli
