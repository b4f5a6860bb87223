#include "engine/worker_process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nmlbench {
namespace {

constexpr std::size_t kKeptOutput = 4096;  // bytes
constexpr std::size_t kKeptLines = 10;
constexpr std::size_t kShortLine = 200;           // fits into a message
constexpr int kLookAround = 100;                  // milliseconds between looks at the stop flag and the clock
constexpr auto kGrace = std::chrono::seconds(2);  // between SIGTERM and SIGKILL

// Lines as a terminal may show them.
std::vector<std::string> last_lines(const std::string& printed) {
  std::vector<std::string> lines;
  std::istringstream in(printed);
  for (std::string line; std::getline(in, line);) {
    for (char& c : line) c = static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? ' ' : c;
    if (line.find_first_not_of(' ') != std::string::npos) lines.push_back(line);
  }
  if (lines.size() > kKeptLines) lines.erase(lines.begin(), lines.end() - kKeptLines);
  return lines;
}

// In the child, where only calls that are safe after fork() of a program with threads are allowed.
[[noreturn]] void become_worker(int socket, int output, double memory_gb) {
  ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::fcntl(socket, F_SETFD, 0);
  std::signal(SIGINT, SIG_IGN);  // Ctrl-C goes to every process of the terminal; the program decides what becomes of it
  std::signal(SIGTERM, SIG_DFL);
  if (memory_gb > 0) {
    const auto bytes = static_cast<rlim_t>(memory_gb * 1e9);
    const rlimit limit{bytes, bytes};
    ::setrlimit(RLIMIT_DATA, &limit);
  }
  char number[16] = {};
  for (int rest = socket, i = 14; rest > 0 || i == 14; rest /= 10) number[i--] = static_cast<char>('0' + rest % 10);
  char* first = number;
  while (*first == '\0') ++first;
  char program[] = "nmlbench-engine", verb[] = "worker";
  char* const argv[] = {program, verb, first, nullptr};
  ::execv("/proc/self/exe", argv);
  ::_exit(127);
}

}  // namespace

bool WorkerDeath::killed_from_outside() const {
  return limit_seconds == 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

std::string WorkerDeath::text() const {
  std::string text;
  if (limit_seconds > 0) {
    text = fmt::format("its process took longer than {:g} seconds (--cell-timeout)", limit_seconds);
  } else if (WIFSIGNALED(status)) {
    text =
        fmt::format("its process was killed by signal {} (SIG{})", WTERMSIG(status), ::sigabbrev_np(WTERMSIG(status)));
    if (killed_from_outside()) text += ", perhaps for want of memory";
  } else {
    text = fmt::format("its process ended by itself: it called exit({})", WEXITSTATUS(status));
  }
  if (!output.empty() && output.back().size() <= kShortLine) text += "; it said last: " + output.back();
  return text;
}

WorkerProcess::WorkerProcess(double memory_gb) {
  int sockets[2], output[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
    throw Error(fmt::format("a worker process cannot be started: {}", std::strerror(errno)));
  }
  if (::pipe2(output, O_CLOEXEC) != 0) {
    const int why = errno;
    for (const int end : sockets) ::close(end);
    throw Error(fmt::format("a worker process cannot be started: {}", std::strerror(why)));
  }
  process_ = ::fork();
  if (process_ == 0) become_worker(sockets[1], output[1], memory_gb);
  const int why = errno;
  ::close(sockets[1]);
  ::close(output[1]);
  socket_ = sockets[0];
  output_ = output[0];
  ::fcntl(output_, F_SETFL, O_NONBLOCK);
  reader_ = MessageReader(socket_);
  if (process_ < 0) {
    ::close(socket_);
    ::close(output_);
    throw Error(fmt::format("a worker process cannot be started: {}", std::strerror(why)));
  }
}

WorkerProcess::~WorkerProcess() {
  if (process_ > 0) reap(SIGKILL);
  ::close(socket_);
  ::close(output_);
}

nlohmann::json WorkerProcess::call(const nlohmann::json& request, double seconds, const std::atomic<bool>* stop,
                                   const std::function<void(const nlohmann::json&)>& on_event) {
  const auto begin = Clock::now();
  keep_output();
  printed_.clear();  // that was about something else
  try {
    send_message(socket_, request);
  } catch (const Error&) {
    report_death(0, stop);
  }
  for (;;) {
    while (std::optional<nlohmann::json> message = reader_.next()) {
      if (!message->contains("event")) return std::move(*message);
      on_event(*message);
    }
    bool there = false;
    if (!wait_for_bytes(there) || (there && !reader_.receive())) report_death(0, stop);
    if (stop != nullptr && stop->load()) {
      reap(SIGKILL);
      throw Interrupted();
    }
    if (seconds > 0 && Clock::now() - begin > std::chrono::duration<double>(seconds)) report_death(seconds, stop);
  }
}

// Waits a moment; false when the worker is gone.
bool WorkerProcess::wait_for_bytes(bool& answer_ready) {
  pollfd ends[] = {{socket_, POLLIN, 0}, {output_, POLLIN, 0}};
  if (process_ <= 0) return false;
  if (::poll(ends, 2, kLookAround) > 0) {
    if ((ends[1].revents & (POLLIN | POLLHUP)) != 0) keep_output();
    answer_ready = (ends[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
    // a plugin that closed its output is no reason to look at it all the time
    if (!answer_ready && (ends[1].revents & POLLIN) == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

void WorkerProcess::keep_output() {
  char chunk[1 << 14];
  for (ssize_t n = 0; (n = ::read(output_, chunk, sizeof chunk)) > 0;) {
    printed_.append(chunk, static_cast<std::size_t>(n));
    if (printed_.size() > kKeptOutput) printed_.erase(0, printed_.size() - kKeptOutput);
  }
}

// Ends the process, at the latest by SIGKILL, and returns its status.
int WorkerProcess::reap(int first_signal) {
  int status = 0;
  ::kill(process_, first_signal);
  if (first_signal != SIGKILL) {
    const auto patience = Clock::now() + kGrace;
    while (::waitpid(process_, &status, WNOHANG) == 0 && Clock::now() < patience) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ::kill(process_, SIGKILL);
  }
  while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) continue;
  process_ = -1;
  return status;
}

void WorkerProcess::report_death(double limit_seconds, const std::atomic<bool>* stop) {
  // a process whose socket is closed has ended or is about to; SIGKILL does not change the status of one that has
  WorkerDeath death;
  death.limit_seconds = limit_seconds;
  death.status = process_ > 0 ? reap(limit_seconds > 0 ? SIGTERM : SIGKILL) : 0;
  if (stop != nullptr && stop->load()) throw Interrupted();
  keep_output();
  death.output = last_lines(printed_);
  throw WorkerDied(std::move(death));
}

}  // namespace nmlbench
