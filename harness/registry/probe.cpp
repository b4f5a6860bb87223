#include "registry/probe.h"

#include "registry/library.h"

#include <nmlbench/error.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nmlbench {
namespace {

namespace fs = std::filesystem;

constexpr int kPatience = 20'000;  // ms for one library; LibTorch and what else it needs may come from a slow disk

// A child that opens files[first] and those behind it, and says so of each.
class Child {
 public:
  Child(const std::vector<fs::path>& files, std::size_t first) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw SystemError("plugin libraries", "be tried", errno);
    std::fflush(nullptr);  // what is buffered is printed once
    process_ = ::fork();
    if (process_ == 0) open_all(files, first, ends[1]);
    const int failed = errno;
    ::close(ends[1]);
    said_ = ends[0];
    if (process_ > 0) return;
    ::close(said_);
    throw SystemError("plugin libraries", "be tried", failed);
  }
  ~Child() { ::close(said_); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // How many libraries it has opened when it ends, or when one takes too long.
  std::size_t opened() {
    std::size_t count = 0;
    for (;;) {
      pollfd waiting{said_, POLLIN, 0};
      const int ready = ::poll(&waiting, 1, kPatience);
      if (ready < 0 && errno == EINTR) continue;
      char word = 0;
      if (ready <= 0) {
        timed_out_ = true;
        ::kill(process_, SIGKILL);
        return count;
      }
      if (::read(said_, &word, 1) != 1) return count;
      ++count;
    }
  }

  // What the library did that it was opening at its end.
  std::string end() {
    int status = 0;
    while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) continue;
    if (timed_out_) return fmt::format("does not come back from loading within {} s", kPatience / 1000);
    if (WIFSIGNALED(status)) {
      return fmt::format("crashes when it is loaded: signal {} ({}); the file is damaged or its code is",
                         WTERMSIG(status), ::strsignal(WTERMSIG(status)));
    }
    return fmt::format("ends the program when it is loaded (exit status {})", WEXITSTATUS(status));
  }

 private:
  [[noreturn]] static void open_all(const std::vector<fs::path>& files, std::size_t first, int say) {
    // what a library says while it is loaded is said when it is loaded in earnest
    const int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, STDOUT_FILENO);
    ::dup2(nowhere, STDERR_FILENO);
    for (std::size_t i = first; i < files.size(); ++i) {
      try {
        open_library(files[i]);
      } catch (...) {  // is refused in words, and again where they are heard
      }
      if (::write(say, "+", 1) != 1) break;
    }
    ::_exit(0);
  }

  pid_t process_ = -1;
  int said_ = -1;
  bool timed_out_ = false;
};

}  // namespace

std::map<fs::path, std::string> deadly_libraries(const std::vector<fs::path>& files) {
  std::map<fs::path, std::string> deadly;
  for (std::size_t next = 0; next < files.size();) {
    Child child(files, next);
    next += child.opened();
    const std::string end = child.end();
    if (next < files.size()) deadly.emplace(files[next++], end);
  }
  return deadly;
}

}  // namespace nmlbench
