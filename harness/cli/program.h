// A program made of verbs: parsing, logging, and errors as one line with their exit status.
#pragma once

#include "cli/cli.h"

#include <span>

namespace nmlbench::cli {

using AddVerb = void (*)(CLI::App& app, Globals& globals, Action& action);

// What nmlbench answers without LibTorch.
inline constexpr AddVerb kBoardVerbs[] = {add_leaderboard, add_claims, add_posthoc, add_throughput, add_compare,
                                          add_show,        add_export, add_report,  add_merge};

// Whether one of the verbs has this name.
bool has_verb(std::span<const AddVerb> verbs, const std::string& name);

// Returns the exit status.
int run_program(int argc, char** argv, std::span<const AddVerb> verbs);

}  // namespace nmlbench::cli
