// nmlbench-engine: every verb, on LibTorch. nmlbench starts it (main.cpp).
#include "cli/program.h"

#include <nmlbench/warning.h>

#include <cstdio>
#include <cstdlib>

#include <spdlog/spdlog.h>

int main(int argc, char** argv) {
  using namespace nmlbench::cli;
  nmlbench::set_warning_sink([](const std::string& line) { spdlog::warn("{}", line); });
  static constexpr AddVerb kVerbs[] = {
      add_run,     add_plan,       add_plugins,     add_new_plugin,   add_leaderboard, add_claims,
      add_posthoc, add_throughput, add_compare,     add_quoting_show, add_export,      add_illustrated_report,
      add_merge,   add_features,   add_checkpoints, add_sheet,        add_doctor,      add_verify,
      add_status,  add_submit,     add_pretrain,    add_worker,
  };
  const int status = run_program(argc, argv, kVerbs);
  // Taking apart LibTorch's registry of operators takes 70 ms, and the system takes back all of it at once. What a verb
  // opened it has closed.
  std::fflush(nullptr);
  std::_Exit(status);
}
