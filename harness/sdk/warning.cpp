#include <nmlbench/warning.h>

#include <cstdio>
#include <mutex>
#include <set>

namespace nmlbench {
namespace {

struct Warnings {
  std::mutex mutex;
  std::set<std::string> said;
  std::function<void(const std::string&)> sink = [](const std::string& line) {
    std::fprintf(stderr, "warning: %s\n", line.c_str());
  };
};

Warnings& warnings() {
  static Warnings all;
  return all;
}

}  // namespace

void warn_once(const std::string& text) {
  const std::string line = Error(text).what();  // printable, whatever files are called
  Warnings& all = warnings();
  const std::lock_guard lock(all.mutex);
  if (all.said.insert(line).second) all.sink(line);
}

void set_warning_sink(std::function<void(const std::string&)> sink) {
  Warnings& all = warnings();
  const std::lock_guard lock(all.mutex);
  all.sink = std::move(sink);
}

}  // namespace nmlbench
