#include "cli/cli.h"
#include "cli/process_setup.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace {

using namespace nmlbench;

std::string join_arguments(int argc, char** argv) {
  std::string line;
  for (int i = 0; i < argc; ++i) line += (i > 0 ? " " : "") + std::string(argv[i]);
  return line;
}

// Standard output carries results; progress and logs go to standard error.
void set_up_logging(const cli::Globals& globals) {
  const char* no_color = std::getenv("NO_COLOR");
  const bool plain = no_color != nullptr && *no_color != '\0';
  spdlog::set_default_logger(
      spdlog::stderr_color_mt("nmlbench", plain ? spdlog::color_mode::never : spdlog::color_mode::automatic));
  spdlog::set_pattern("%H:%M:%S %^%l%$ %v");
  spdlog::set_level(globals.verbose ? spdlog::level::debug : globals.quiet ? spdlog::level::err : spdlog::level::info);
}

int run_program(int argc, char** argv) {
  CLI::App app{"nmlbench: benchmark harness for noisy model learning", "nmlbench"};
  app.set_version_flag("--version", NMLBENCH_VERSION);
  app.require_subcommand(1);
  app.fallthrough();

  cli::Globals globals;
  globals.command_line = join_arguments(argc, argv);
  app.add_option("--plugin-dir", globals.plugin_dirs, "Folder with plugin libraries (repeatable)");
  app.add_option("--cache-dir", globals.cache_dir, "Checkpoints and features")->envname("NMLBENCH_CACHE_DIR");
  app.add_option("--threads", globals.threads, "CPU threads; 0 means all cores")
      ->envname("NMLBENCH_THREADS")
      ->check(CLI::Range(0, 4096));
  app.add_flag("--quiet", globals.quiet, "Errors only");
  app.add_flag("--verbose", globals.verbose, "Details");

  cli::Action action;
  cli::add_run(app, globals, action);
  cli::add_plan(app, globals, action);
  cli::add_plugins(app, globals, action);
  cli::add_new_plugin(app, globals, action);
  cli::add_leaderboard(app, globals, action);
  cli::add_throughput(app, globals, action);
  cli::add_compare(app, globals, action);
  cli::add_show(app, globals, action);
  cli::add_export(app, globals, action);
  cli::add_report(app, globals, action);
  cli::add_merge(app, globals, action);
  cli::add_features(app, globals, action);
  cli::add_sheet(app, globals, action);
  cli::add_doctor(app, globals, action);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? cli::kDone : cli::kBadInput;
  }
  set_up_logging(globals);
  // Data sets keep decoded images in the cache and decode on as many threads; they see the environment only.
  if (!globals.cache_dir.empty()) ::setenv("NMLBENCH_CACHE_DIR", globals.cache_dir.c_str(), 1);
  if (globals.threads > 0) ::setenv("NMLBENCH_THREADS", std::to_string(globals.threads).c_str(), 1);
  return action();
}

}  // namespace

int main(int argc, char** argv) {
  // loading LibTorch a second time takes a quarter of a second, which only verbs that compute are worth
  const bool computes = std::any_of(argv + 1, argv + argc, [](const char* word) {
    return std::string_view(word) == "run" || std::string_view(word) == "features";
  });
  if (computes) nmlbench::cli::set_up_process(argv);
  try {
    return run_program(argc, argv);
  } catch (const nmlbench::Interrupted&) {
    return nmlbench::cli::kInterrupted;
  } catch (const std::exception& error) {
    fmt::print(stderr, "nmlbench: error: {}\n", error.what());
    return nmlbench::cli::kBadInput;
  }
}
