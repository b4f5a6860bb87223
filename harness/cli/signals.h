// Ctrl-C and SIGTERM, for every verb: the program ends with status 130 within two seconds.
#pragma once

#include <atomic>

namespace nmlbench::cli {

// From here on a signal ends the program at once. Nothing finished is lost: the program may be killed anywhere.
void end_on_signals();

// For verbs that can stop by themselves: a signal sets the flag, and only who has not stopped after a second and a
// half, or gets a second signal, is ended.
const std::atomic<bool>* stop_on_signals();

// The first signal only sets this flag, for verbs that go on until a stage, or an epoch of one, is finished; the next
// one is as the first one of stop_on_signals().
const std::atomic<bool>* leave_on_signals();

}  // namespace nmlbench::cli
