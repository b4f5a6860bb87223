// How a verb prints its table: options that all of them share.
#pragma once

#include "results/boards/leaderboard.h"

#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

namespace nmlbench::cli {

struct TableOptions {
  std::string format = "table";
  bool json = false;

  TableFormat table_format() const;
};
// --format table|markdown|csv|json|latex, --json.
void add_table_options(CLI::App& verb, TableOptions& options);

// How numbers are tested: --unit seed|task|crossed, --interval t|bootstrap, --test t|wilcoxon|sign-flip, --power.
struct TestOptions {
  std::string unit = "seed";
  std::string interval = "t";
  std::string test = "t";
  bool power = false;

  Inference inference() const;
};
void add_test_options(CLI::App& verb, TestOptions& options);

// --metric; its help names those that are declared.
CLI::Option* add_metric_option(CLI::App& verb, std::string& metric);
// Below the help of a verb: every column that --where and --group-by take, and every metric.
void add_glossary(CLI::App& verb);

// --where COL=VALUE, repeatable.
void add_where_option(CLI::App& verb, std::vector<std::string>& where);
// Throws Error for text without a column.
std::vector<std::pair<std::string, std::string>> parse_where(const std::vector<std::string>& where);

}  // namespace nmlbench::cli
