#include "cli/cli.h"
#include "cli/table_options.h"
#include "results/boards/comparison.h"
#include "support/environment.h"

#include <nmlbench/error.h>

#include <fmt/format.h>
#include <unistd.h>

namespace nmlbench::cli {
namespace {

struct CompareOptions {
  std::filesystem::path a, b;
  CompareQuery query;
  std::vector<std::string> where;
  TestOptions tests;
  TableOptions table;
  std::size_t changes = 10;
  bool fail_on_regression = false;
};

int compare(CompareOptions options) {
  CompareQuery& query = options.query;
  query.where = parse_where(options.where);
  query.inference = options.tests.inference();
  if (options.fail_on_regression && better(query.metric) == Better::neither) {
    throw Error(
        fmt::format("--fail-on-regression: {} has no direction, none is better, so that no change is a"
                    " regression; choose another --metric",
                    query.metric));
  }
  const TableFormat format = options.table.table_format();
  const Store a = Store::open_read_only(options.a), b = Store::open_read_only(options.b);
  const Comparison result = compare_results(a, b, query);
  fmt::print("{}", render(result, format, options.changes, shows_colour(STDOUT_FILENO)));
  return options.fail_on_regression && result.has_regression() ? kSomeCellsFailed : kDone;
}

}  // namespace

void add_compare(CLI::App& app, Globals&, Action& action) {
  auto* verb = app.add_subcommand("compare", "What changed between two result sets, and is it significant");
  auto options = std::make_shared<CompareOptions>();
  CompareQuery& query = options->query;
  verb->add_option("a", options->a, "Database before")->required();
  verb->add_option("b", options->b, "Database after")->required();
  verb->add_option("--group-by", query.group_by, "Columns, comma-separated; default: as the leaderboard's")
      ->delimiter(',');
  add_where_option(*verb, options->where);
  add_metric_option(*verb, query.metric);
  verb->add_option("--kind", query.kind, "Only these test sets: id or ood")->check(CLI::IsMember({"id", "ood"}));
  verb->add_flag("--all", query.superseded, "Cells too that the newest plan of their matrix no longer has");
  verb->add_option("--tolerance", query.tolerance, "Differences up to this are none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb->add_option("--alpha", query.alpha, "Level of the Holm-corrected tests")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  verb->add_option("--max-drop", query.max_drop, "A mean loss beyond this is a regression without any test")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--changes", options->changes, "How many changed cells to list")->capture_default_str();
  verb->add_flag("--fail-on-regression", options->fail_on_regression,
                 "Exit with 1 when something is significantly worse, beyond --max-drop, or newly failed");
  add_test_options(*verb, options->tests);
  add_table_options(*verb, options->table);
  verb->callback([&action, options] { action = [options] { return compare(*options); }; });
}

}  // namespace nmlbench::cli
