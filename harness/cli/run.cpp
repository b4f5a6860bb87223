#include "cli/cli.h"

namespace nmlbench::cli {

void add_run(CLI::App&, Globals&, Action&) {}

}  // namespace nmlbench::cli
