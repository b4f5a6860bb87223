#include "support/leases.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>
#include <new>
#include <random>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

namespace nmlbench {
namespace {

namespace fs = std::filesystem;
using std::chrono::nanoseconds;

constexpr std::size_t kMostBytes = 4096;
constexpr int kAttempts = 20;  // of askers that get in each other's way

[[noreturn]] void fail(const fs::path& file, const char* action, int code) {
  throw SystemError(file.string(), action, code, "choose another folder");
}

// Names that no other process and no other call has.
std::string unused_name(const char* what) {
  static const std::string process = [] {
    std::random_device random;
    return fmt::format("{:08x}{:08x}{:08x}", random(), random(), random());
  }();
  static std::atomic<unsigned> counter{0};
  return fmt::format(".{}.{}.{}", what, process, counter++);
}

class Descriptor {
 public:
  Descriptor(const fs::path& file, int flags) : descriptor_(::open(file.c_str(), flags | O_CLOEXEC, 0666)) {}
  ~Descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  explicit operator bool() const { return descriptor_ >= 0; }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

// Of an open file: opening makes a network file system ask its server, which a bare stat need not.
nanoseconds touched(int descriptor) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return nanoseconds::zero();
  return std::chrono::seconds(status.st_mtim.tv_sec) + nanoseconds(status.st_mtim.tv_nsec);
}

std::string content_of(int descriptor) {
  std::string content(kMostBytes, '\0');
  const ssize_t got = ::pread(descriptor, content.data(), content.size(), 0);
  content.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return content;
}

bool is_gone(int code) {
  return code == ENOENT || code == ESTALE;  // the latter on NFS
}

// A lease as it was at one moment.
struct Seen {
  std::string content;
  nanoseconds touched{};
};

// Nothing when there is no such file.
std::optional<Seen> read_lease(const fs::path& file) {
  const Descriptor open(file, O_RDONLY);
  if (!open && is_gone(errno)) return std::nullopt;
  if (!open) fail(file, "open", errno);
  return Seen{content_of(open.get()), touched(open.get())};
}

bool make_empty(const fs::path& file) {
  const Descriptor made(file, O_WRONLY | O_CREAT | O_EXCL);
  if (!made && errno != EEXIST) fail(file, "create", errno);
  return static_cast<bool>(made);
}

// Removes a lease that was last seen so, and nothing when another one has taken its place. Files are removed by name,
// so one process at a time may remove this one: who makes the file that is called after it. Should that process die in
// the middle, others wait for the limit.
void remove_lease(const fs::path& file, const Seen& seen, nanoseconds now, nanoseconds limit) {
  const fs::path right =
      file.parent_path() / fmt::format(".remove.{}.{}", file.filename().string(), seen.touched.count());
  if (!make_empty(right)) {
    const std::optional<Seen> other = read_lease(right);
    if (other && std::chrono::abs(now - other->touched) > limit) ::unlink(right.c_str());
    return;
  }
  const std::optional<Seen> still = read_lease(file);
  if (still && still->content == seen.content) ::unlink(file.c_str());
  ::unlink(right.c_str());
}

}  // namespace

class Heart {
 public:
  explicit Heart(std::chrono::milliseconds beat) : beat_(beat) {}
  ~Heart() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
  }
  Heart(const Heart&) = delete;
  Heart& operator=(const Heart&) = delete;

  void add(const fs::path& file, const std::string& content) {
    const std::lock_guard lock(mutex_);
    held_[file] = content;
    if (!thread_.joinable()) thread_ = std::thread([this] { beat_until_stopped(); });
  }
  void forget(const fs::path& file, const std::string& content) {
    const std::lock_guard lock(mutex_);
    const auto found = held_.find(file);
    if (found != held_.end() && found->second == content) held_.erase(found);
  }

 private:
  void beat_until_stopped() {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, beat_, [this] { return stopped_; })) {
      const auto held = held_;
      lock.unlock();  // a server that is slow to answer must not hold up who takes another lease
      for (const auto& [file, content] : held) {
        const Descriptor open(file, O_RDONLY);
        if (open && content_of(open.get()) == content) ::futimens(open.get(), nullptr);  // by the server's clock
      }
      lock.lock();
    }
  }

  const std::chrono::milliseconds beat_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<fs::path, std::string> held_;
  bool stopped_ = false;
  std::thread thread_;
};

Lease::~Lease() {
  if (!heart_) return;
  try {
    heart_->forget(file_, content_);
    const std::optional<Seen> seen = read_lease(file_);
    if (seen && seen->content == content_) remove_lease(file_, *seen, seen->touched, nanoseconds::max());
  } catch (const std::exception&) {  // others take it over when nobody touches it any more
  }
}

Leases::Leases(fs::path folder, const std::string& role, LeaseTimes times)
    : folder_(std::move(folder)),
      owner_(this_process(role)),
      times_(times),
      heart_(std::make_shared<Heart>(times.beat)) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) fail(folder_, "create", error.value());
}

std::optional<Lease> Leases::take(const std::string& name) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (std::optional<Lease> lease = create(name)) return lease;
    const std::optional<Seen> seen = read_lease(folder_ / name);
    if (!seen) continue;  // given back meanwhile
    const nanoseconds now = file_system_now();
    if (judge(seen->content, now - seen->touched).alive) return std::nullopt;
    remove_lease(folder_ / name, *seen, now, times_.limit);
  }
  return std::nullopt;  // others want it as well: one of them has it
}

std::optional<Lease> Leases::create(const std::string& name) {
  const fs::path file = folder_ / name;
  nlohmann::json content = owner_;
  content["token"] = unused_name("lease");
  const std::string text = content.dump();
  {
    const Descriptor made(file, O_WRONLY | O_CREAT | O_EXCL);
    if (!made && errno == EEXIST) return std::nullopt;
    if (!made) fail(file, "create", errno);
    errno = ENOSPC;  // a write that is cut short says nothing
    if (::write(made.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      const int code = errno;
      ::unlink(file.c_str());
      fail(file, "write", code);
    }
  }
  heart_->add(file, text);
  return Lease(heart_, file, text);
}

// What a new file says: the clock of this machine may differ.
nanoseconds Leases::file_system_now() const {
  const fs::path file = folder_ / unused_name("now");
  nanoseconds now{};
  {
    const Descriptor made(file, O_WRONLY | O_CREAT | O_EXCL);
    if (!made) fail(file, "create", errno);
    now = touched(made.get());
  }
  ::unlink(file.c_str());
  return now;
}

LeaseState Leases::judge(const std::string& content, nanoseconds untouched) const {
  LeaseState state;
  try {
    state.owner = nlohmann::json::parse(content).get<ProcessOwner>();
  } catch (const nlohmann::json::exception&) {  // its owner is still writing it, or died then
  }
  state.untouched_seconds = std::chrono::duration<double>(untouched).count();
  const std::optional<bool> runs = state.owner ? still_runs(*state.owner) : std::nullopt;
  // a time to come was written before a clock was set back, and nobody has touched the file since
  state.alive = runs.value_or(std::chrono::abs(untouched) < times_.limit);
  return state;
}

std::optional<LeaseState> Leases::look(const std::string& name) const {
  const std::optional<Seen> seen = read_lease(folder_ / name);
  return seen ? std::optional(judge(seen->content, file_system_now() - seen->touched)) : std::nullopt;
}

std::vector<std::pair<std::string, LeaseState>> Leases::all() const {
  std::vector<std::pair<std::string, LeaseState>> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    if (name.front() == '.') continue;
    if (std::optional<LeaseState> state = look(name)) found.emplace_back(name, std::move(*state));
  }
  if (error) fail(folder_, "list", error.value());  // that nobody works is no answer
  return found;
}

}  // namespace nmlbench
