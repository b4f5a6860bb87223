// The options of `run`, which `submit` gives on to those that it lets run.
#pragma once

#include "cli/session.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace nmlbench::cli {

struct RunOptions {
  MatrixOptions matrix;
  std::filesystem::path db = "nmlbench.sqlite";
  bool dry_run = false;
  bool retry_failed = false;
  bool fail_fast = false;
  std::int64_t stack_heads = 0;
  bool no_predictions = false;
  bool keep_probabilities = false;
  std::int64_t workers = 0;            // that share the run on this machine; 0: this process does all of it
  std::string worker;                  // "I/N": this process is one of those that share the run, on whatever machines
  std::vector<std::string> arguments;  // for each of `workers`
};

// What is run, and how: all but dry_run, workers, worker and arguments.
void add_run_options(CLI::App& verb, RunOptions& options);

}  // namespace nmlbench::cli
