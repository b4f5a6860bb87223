#include "cli/cli.h"

namespace nmlbench::cli {

void add_sheet(CLI::App&, Globals&, Action&) {}

}  // namespace nmlbench::cli
