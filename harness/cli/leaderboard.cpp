#include "cli/cli.h"

namespace nmlbench::cli {

void add_leaderboard(CLI::App&, Globals&, Action&) {}

}  // namespace nmlbench::cli
