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
  std::string format;  // "": by the ending of `out`
  bool schema = false;
};

// A file's name must not promise what is not in it.
std::string format_of(const std::filesystem::path& out) {
  const std::string ending = out.extension().string();
  if (ending == ".jsonl" || ending == ".ndjson") return "jsonl";
  for (const char* other : {".parquet", ".feather", ".arrow", ".xlsx", ".json"}) {
    if (ending != other) continue;
    throw Error(
        fmt::format("{}: export writes csv or jsonl; name the file so, and let pandas make {} of it, or say --format",
                    out.string(), ending.substr(1)));
  }
  return "csv";
}

int export_results(ExportOptions options) {
  options.query.where = parse_where(options.where);
  if (options.format.empty()) options.format = format_of(options.out);
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
  verb->add_option("--format", options->format, "csv or jsonl; default: by the file's ending")
      ->check(CLI::IsMember({"csv", "jsonl"}));
  add_where_option(*verb, options->where);
  verb->add_option("-o,--output", options->out, "File to write; default: standard output");
  verb->add_flag("--schema", options->schema, "Print the types of the table's columns as JSON, and stop");
  verb->callback([&action, options] { action = [options] { return export_results(*options); }; });
}

}  // namespace nmlbench::cli
