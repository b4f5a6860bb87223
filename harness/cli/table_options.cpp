#include "cli/table_options.h"

#include "records/columns.h"
#include "records/metrics.h"

#include <nmlbench/error.h>

#include <map>

#include <fmt/format.h>

namespace nmlbench::cli {

TableFormat TableOptions::table_format() const {
  static const std::map<std::string, TableFormat> formats{{"table", TableFormat::table},
                                                          {"markdown", TableFormat::markdown},
                                                          {"csv", TableFormat::csv},
                                                          {"json", TableFormat::json},
                                                          {"latex", TableFormat::latex}};
  return json ? TableFormat::json : formats.at(format);
}

void add_table_options(CLI::App& verb, TableOptions& options) {
  auto* format = verb.add_option("--format", options.format, "How to print it")
                     ->check(CLI::IsMember({"table", "markdown", "csv", "json", "latex"}))
                     ->capture_default_str();
  verb.add_flag("--json", options.json, "Same as --format json")->excludes(format);
}

Inference TestOptions::inference() const {
  static const std::map<std::string, SamplingUnit> units{
      {"seed", SamplingUnit::seed}, {"task", SamplingUnit::task}, {"crossed", SamplingUnit::crossed}};
  static const std::map<std::string, PairedTest> tests{
      {"t", PairedTest::student_t}, {"wilcoxon", PairedTest::wilcoxon}, {"sign-flip", PairedTest::sign_flip}};
  return {units.at(unit), interval == "bootstrap" ? IntervalMethod::bootstrap : IntervalMethod::student_t,
          tests.at(test), power};
}

void add_test_options(CLI::App& verb, TestOptions& options) {
  verb.add_option(
          "--unit", options.unit,
          "What intervals and tests are over: seed (other seeds, these tasks), task (other tasks, these seeds) or"
          " crossed (both random); docs/STATISTICS.md")
      ->check(CLI::IsMember({"seed", "task", "crossed"}))
      ->capture_default_str();
  verb.add_option("--interval", options.interval,
                  fmt::format("95 % intervals: Student's t, or the bootstrap from {} units on", kLeastForBootstrap))
      ->check(CLI::IsMember({"t", "bootstrap"}))
      ->capture_default_str();
  verb.add_option("--test", options.test,
                  "Test of paired differences: Student's t, Wilcoxon's signed ranks or exact sign flips")
      ->check(CLI::IsMember({"t", "wilcoxon", "sign-flip"}))
      ->capture_default_str();
  verb.add_flag("--power", options.power,
                "Adds for each difference how many units would decide it at 5 % with 80 % power");
}

CLI::Option* add_metric_option(CLI::App& verb, std::string& metric) {
  return verb.add_option("--metric", metric, metric_names())->capture_default_str();
}

void add_glossary(CLI::App& verb) {
  std::string text = "Columns:\n";
  for (const CellColumn& column : kCellColumns) {
    if (column.use != Use::fact) text += fmt::format("  {:<18}{}\n", column.name, column.doc);
  }
  text += "\nMetrics:\n";
  for (const Metric& metric : kMetrics) text += fmt::format("  {:<20}{}\n", metric.name, metric.doc);
  verb.footer(text);
}

void add_where_option(CLI::App& verb, std::vector<std::string>& where) {
  verb.add_option("--where", where,
                  "COL=VALUE: only these cells (repeatable; values of one column add up); boards take parameters, "
                  "tuner.lr=0.1, "
                  "and values as they print them, too")
      ->allow_extra_args(false);
}

std::vector<std::pair<std::string, std::string>> parse_where(const std::vector<std::string>& where) {
  std::vector<std::pair<std::string, std::string>> filters;
  for (const std::string& text : where) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw Error(fmt::format("--where {}: expected COL=VALUE, for example noise_ratio=0.1", text));
    }
    filters.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return filters;
}

}  // namespace nmlbench::cli
