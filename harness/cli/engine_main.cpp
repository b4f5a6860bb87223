// nmlbench-engine: every verb, on LibTorch. nmlbench starts it (main.cpp).
#include "cli/program.h"
#include "engine/process.h"

#include <nmlbench/warning.h>

#include <spdlog/spdlog.h>

int main(int argc, char** argv) {
  using namespace nmlbench::cli;
  nmlbench::keep_freed_memory();
  nmlbench::set_warning_sink([](const std::string& line) { spdlog::warn("{}", line); });
  static constexpr AddVerb kVerbs[] = {
      add_run,        add_plan,     add_plugins, add_new_plugin, add_leaderboard,
      add_throughput, add_compare,  add_show,    add_export,     add_illustrated_report,
      add_merge,      add_features, add_sheet,   add_doctor,     add_verify,
      add_worker};
  return run_program(argc, argv, kVerbs);
}
