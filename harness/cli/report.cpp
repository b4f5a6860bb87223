#include "cli/cli.h"

namespace nmlbench::cli {

void add_report(CLI::App&, Globals&, Action&) {}

}  // namespace nmlbench::cli
