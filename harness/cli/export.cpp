#include "cli/cli.h"
#include "cli/table_options.h"
#include "results/query/exporter.h"
#include "support/output_file.h"

#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench::cli {
namespace {

struct ExportOptions {
  std::filesystem::path db = "nmlbench.sqlite";
  std::filesystem::path out;  // empty: standard output
  ExportQuery query;
  std::vector<std::string> where;
  std::string format = "csv";
  bool schema = false;
};

int export_results(ExportOptions options) {
  options.query.where = parse_where(options.where);
  options.query.format = options.format == "jsonl" ? ExportFormat::jsonl : ExportFormat::csv;
  if (options.schema) {
    fmt::print("{}", export_schema(options.query.table));
    return kDone;
  }
  const Store store = Store::open_read_only(options.db);
  if (options.out.empty()) {
    export_table(store, options.query, [](std::string_view text) { fmt::print("{}", text); });
    return kDone;
  }
  OutputFile output(options.out);
  export_table(store, options.query, [&](std::string_view text) { output.write(text); });
  output.finish();
  return kDone;
}

}  // namespace

void add_export(CLI::App& app, Globals&, Action& action) {
  auto* verb = app.add_subcommand("export", "Results as CSV or JSON lines, ready for pandas or Parquet");
  auto options = std::make_shared<ExportOptions>();
  verb->add_option("--db", options->db, "Results database")->envname("NMLBENCH_DB")->capture_default_str();
  verb->add_option("--table", options->query.table, fmt::format("{}", fmt::join(export_tables(), ", ")))
      ->capture_default_str();
  verb->add_option("--format", options->format, "csv or jsonl")
      ->check(CLI::IsMember({"csv", "jsonl"}))
      ->capture_default_str();
  add_where_option(*verb, options->where);
  verb->add_option("-o,--output", options->out, "File to write; default: standard output");
  verb->add_flag("--schema", options->schema, "Print the types of the table's columns as JSON, and stop");
  verb->callback([&action, options] { action = [options] { return export_results(*options); }; });
}

}  // namespace nmlbench::cli
