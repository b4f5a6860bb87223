// usage: test_fuzz TARGET|all [SECONDS [SEED]]: reads the target's seeds, and changed ones for so long.
//        test_fuzz TARGET --file FILE: reads one file, as what libFuzzer found
//        test_fuzz TARGET --seeds DIR: writes the seeds, for libFuzzer to start from
//        test_fuzz --list
// Without libFuzzer, which needs Clang, changes are blind: bytes are flipped, cut, repeated and set to what often
// breaks.
#include "fuzz/targets.h"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

namespace nmlbench::fuzz {
namespace {

constexpr unsigned kSecondsOfOne = 20;            // that reading a few kilobytes may take on a busy machine
constexpr rlim_t kMostMemory = rlim_t{4} << 30U;  // address space of LibTorch and plugins, and 2 GiB

std::string changed(std::string bytes, std::mt19937_64& draw) {
  const auto below = [&](std::size_t n) { return n == 0 ? 0 : static_cast<std::size_t>(draw() % n); };
  for (std::size_t changes = 1 + below(8); changes > 0; --changes) {
    const std::size_t at = below(bytes.size()), length = 1 + below(std::min<std::size_t>(64, bytes.size() - at + 1));
    switch (below(6)) {
      case 0:
        if (!bytes.empty()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:
        if (!bytes.empty()) bytes[at] = "\0\xFF\x7F\x80 \n\"09-"[below(10)];
        break;
      case 2:
        bytes.erase(at, length);
        break;
      case 3:
        bytes.insert(at, bytes.substr(below(bytes.size()), length));
        break;
      case 4:
        for (std::size_t i = at; i < std::min(bytes.size(), at + 8); ++i) bytes[i] = static_cast<char>(draw());
        break;
      default:
        bytes.resize(below(4) == 0 ? at : bytes.size());
    }
  }
  return bytes;
}

std::string current;  // what is being read, for whoever has to look at a crash

void keep_current(int signal) {
  std::ofstream("fuzz-crash", std::ios::binary) << current;
  std::fputs("the bytes are in ./fuzz-crash\n", stderr);
  ::_exit(128 + signal);
}

void replay(const Target& target, double seconds, std::uint64_t seed) {
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGALRM}) std::signal(signal, keep_current);
  const testing::Scratch scratch;
  const std::vector<std::string> seeds = target.seeds();
  for (const std::string& bytes : seeds) target.read(current = bytes, scratch);  // seeds are right
  const rlimit memory{kMostMemory, kMostMemory};
  if (NMLBENCH_LIMITS_MEMORY) ::setrlimit(RLIMIT_AS, &memory);
  std::mt19937_64 draw(seed);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  std::int64_t count = 0;
  for (; std::chrono::steady_clock::now() < end; ++count) {
    ::alarm(kSecondsOfOne);
    feed(target, current = changed(seeds[draw() % seeds.size()], draw), scratch);
  }
  ::alarm(0);
  fmt::print("{}: {} seeds and {} changed ones read or refused\n", target.name, seeds.size(), count);
  std::fflush(stdout);  // whoever comes next may crash
}

int main_of(const std::vector<std::string>& arguments) {
  if (arguments.size() == 1 && arguments[0] == "--list") {
    for (const Target& target : targets()) fmt::print("{}\n", target.name);
    return 0;
  }
  const auto seconds = [&] { return arguments.size() > 1 ? std::stod(arguments[1]) : 1; };
  const auto seed = [&] { return arguments.size() > 2 ? std::stoull(arguments[2]) : 1; };
  if (!arguments.empty() && arguments[0] == "all") {
    for (const Target& target : targets()) replay(target, seconds(), seed());
    return 0;
  }
  const Target* target = arguments.empty() ? nullptr : find_target(arguments[0]);
  if (target == nullptr) {
    fmt::print(stderr,
               "usage: test_fuzz TARGET|all [SECONDS [SEED]] | TARGET --file FILE | TARGET --seeds DIR | --list\n");
    return 2;
  }
  if (arguments.size() == 3 && arguments[1] == "--file") {
    feed(*target, testing::read_text(arguments[2]), testing::Scratch());
    return 0;
  }
  if (arguments.size() == 3 && arguments[1] == "--seeds") {
    write_seeds(*target, arguments[2]);
    return 0;
  }
  replay(*target, seconds(), seed());
  return 0;
}

}  // namespace
}  // namespace nmlbench::fuzz

int main(int count, char** values) {
  return nmlbench::fuzz::main_of({values + 1, values + count});
}
