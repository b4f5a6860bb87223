#include "cli/cli.h"

namespace nmlbench::cli {

void add_plan(CLI::App&, Globals&, Action&) {}

}  // namespace nmlbench::cli
