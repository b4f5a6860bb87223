#include "cli/signals.h"

#include "cli/cli.h"

#include <csignal>

#include <sys/time.h>
#include <unistd.h>

namespace nmlbench::cli {
namespace {

std::atomic<bool> stop_requested{false};
std::atomic<bool> stops_by_itself{false};
std::atomic<bool> leave_requested{false};
std::atomic<bool> leaves_first{false};
static_assert(std::atomic<bool>::is_always_lock_free, "signal handlers may use lock-free atomics only");

// Time for work to stop by itself: a library's decomposition, or a plugin, may never look at the flag.
constexpr itimerval kGrace{{0, 0}, {1, 500'000}};

// Only what a signal handler may call.
[[noreturn]] void end_now(int /*signal*/) {
  static constexpr char kEnded[] = "nmlbench: interrupted\n";
  static constexpr char kResumable[] =
      "nmlbench: interrupted in the middle of a stage; the same command goes on from there\n";
  [[maybe_unused]] const ssize_t written = stops_by_itself ? ::write(STDERR_FILENO, kResumable, sizeof kResumable - 1)
                                                           : ::write(STDERR_FILENO, kEnded, sizeof kEnded - 1);
  ::_exit(kInterrupted);
}

void on_interrupt(int signal) {
  if (leaves_first && !leave_requested.exchange(true)) return;
  if (!stops_by_itself || stop_requested.exchange(true)) end_now(signal);
  ::setitimer(ITIMER_REAL, &kGrace, nullptr);
}

void install(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;  // who reads or writes sees nothing of the first signal
  ::sigaction(signal, &action, nullptr);
}

}  // namespace

void end_on_signals() {
  install(SIGALRM, end_now);
  install(SIGINT, on_interrupt);
  install(SIGTERM, on_interrupt);
}

const std::atomic<bool>* stop_on_signals() {
  stops_by_itself = true;
  return &stop_requested;
}

const std::atomic<bool>* leave_on_signals() {
  leaves_first = true;
  return &leave_requested;
}

}  // namespace nmlbench::cli
