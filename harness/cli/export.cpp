#include "cli/cli.h"
#include "cli/table_options.h"
#include "exporter.h"

#include <nmlbench/error.h>

#include <cstdio>
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

// A file that is there under its name only when it is whole.
class Output {
 public:
  explicit Output(std::filesystem::path file) : file_(std::move(file)), partial_(file_.string() + ".partial") {
    if (!file_.empty()) stream_.reset(std::fopen(partial_.c_str(), "wb"));
    if (!file_.empty() && !stream_) fail();
  }
  void write(std::string_view text) {
    std::FILE* const stream = stream_ ? stream_.get() : stdout;
    if (std::fwrite(text.data(), 1, text.size(), stream) != text.size()) fail();
  }
  void finish() {
    if (!stream_) {
      if (std::fflush(stdout) != 0) fail();
      return;
    }
    std::error_code error;
    if (std::fclose(stream_.release()) == 0) std::filesystem::rename(partial_, file_, error);
    if (error || !std::filesystem::exists(file_)) fail();
  }

 private:
  [[noreturn]] void fail() {
    stream_.reset();
    std::error_code ignored;
    std::filesystem::remove(partial_, ignored);
    throw Error(fmt::format("{}: cannot be written; check the folder, its permissions and free space",
                            file_.empty() ? "standard output" : file_.string()));
  }

  struct Close {
    void operator()(std::FILE* stream) const { std::fclose(stream); }
  };
  std::filesystem::path file_, partial_;
  std::unique_ptr<std::FILE, Close> stream_;
};

int export_results(ExportOptions options) {
  options.query.where = parse_where(options.where);
  options.query.format = options.format == "jsonl" ? ExportFormat::jsonl : ExportFormat::csv;
  if (options.schema) {
    fmt::print("{}", export_schema(options.query.table));
    return kDone;
  }
  const Store store = Store::open_read_only(options.db);
  Output output(options.out);
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
