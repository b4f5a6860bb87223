#include "cli/cli.h"
#include "engine/worker_server.h"

#include <csignal>

namespace nmlbench::cli {

// Started by the program itself (engine/worker_process.h), so it is not in the list of verbs.
void add_worker(CLI::App& app, Globals&, Action& action) {
  auto* verb = app.add_subcommand("worker", "Runs plugins for another process of this program")->group("");
  auto socket = std::make_shared<int>(-1);
  verb->add_option("socket", *socket, "An inherited descriptor")->required();
  verb->callback([&action, socket] {
    action = [socket]() -> int {
      // As the parent had them (worker_process.cpp) before the handlers of all verbs were installed: that of SIGTERM,
      // which the parent sends at a time limit, would say that this process was interrupted.
      std::signal(SIGINT, SIG_IGN);
      std::signal(SIGTERM, SIG_DFL);
      serve_worker(*socket);
    };
  });
}

}  // namespace nmlbench::cli
