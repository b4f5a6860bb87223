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
      std::signal(SIGINT,
                  SIG_IGN);  // a terminal sends it to every process; the parent decides what becomes of this one
      std::signal(SIGTERM, SIG_DFL);  // the parent's, at a time limit: it would say that it was interrupted
      serve_worker(*socket);
    };
  });
}

}  // namespace nmlbench::cli
