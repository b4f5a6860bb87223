// nmlbench: answers questions about results by itself. Everything that needs LibTorch is done by nmlbench-engine beside
// it: loading LibTorch takes a third of a second, more than most answers.
#include "cli/program.h"
#include "cli/report_verb.h"
#include "cli/show_verb.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>

#include <fmt/format.h>
#include <unistd.h>

namespace {

// What else comes before a verb may have a value of its own; the engine knows.
bool is_flag(std::string_view word) {
  return word == "--quiet" || word == "--verbose";
}

bool asks_about_results(int argc, char** argv) {
  char** verb = std::find_if_not(argv + 1, argv + argc, is_flag);
  const bool reads_samples = std::any_of(argv + 1, argv + argc, [](std::string_view word) {
    return word == nmlbench::cli::kImagesOption || word == nmlbench::cli::kTextsOption;
  });
  return !reads_samples && verb != argv + argc && nmlbench::cli::has_verb(nmlbench::cli::kBoardVerbs, *verb);
}

// Comes back only when it fails.
void start_engine(char** argv) {
  // OpenMP threads that wait actively slow everything down as soon as another process is busy, by up to 100 times.
  // OpenMP reads the setting when it is loaded.
  ::setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0);
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error).replace_filename("nmlbench-engine");
  ::execv(program.c_str(), argv);
  fmt::print(stderr, "nmlbench: error: {}: cannot be started: {}; build or install nmlbench again\n", program.string(),
             std::strerror(errno));
}

}  // namespace

int main(int argc, char** argv) {
  using namespace nmlbench::cli;
  if (asks_about_results(argc, argv)) return run_program(argc, argv, kBoardVerbs);
  start_engine(argv);
  return kBadInput;
}
