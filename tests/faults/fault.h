// Preloaded into the program (LD_PRELOAD), makes one call to the system fail, as a full disk or a machine without
// memory would, or kills the process there.
//
//   NMLBENCH_FAULT        what happens:
//     count               nothing
//     KIND:N:ERRNO        the N-th call (from 0) of a kind fails
//     KIND:N:kill         the process is killed by SIGKILL instead of the call
//     write:N:part        half of it is written, and the disk is full from then on
//     full:BYTES:0        the disk is full when so many bytes have been written
//     readonly:N:0        from the N-th call that would change the disk on, it is read-only
//     clock:SECONDS:0     the clock is off by so many
//   NMLBENCH_FAULT_ROOT   calls on files count below this folder only
//   NMLBENCH_FAULT_IN     "team": in the process that starts workers, "I/N": in that worker; otherwise in all
//   NMLBENCH_FAULT_LOG    gets "KIND CALLS" for each kind when the process ends, and "fired KIND N FILE"
//
// Of nmlbench-engine alone; memory counts from the moment that a matrix file is opened, since what loads a program has
// no sentence to say. SQLite makes the same calls as everybody.
#pragma once

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

enum Kind {
  kWrite,
  kFsync,
  kRename,
  kOpen,
  kReserve,
  kMkdir,
  kRemove,
  kClose,
  kMmap,
  kRead,
  kList,
  kLock,
  kBuffer,
  kMalloc,
  kKinds
};
constexpr const char* kNames[] = {"write", "fsync", "rename", "open", "reserve", "mkdir",  "remove",
                                  "close", "mmap",  "read",   "list", "lock",    "buffer", "malloc"};
constexpr size_t kBufferBytes = 16384;

enum class Fault { none, error, kill, part, full, readonly, clock };

std::atomic<long> calls[kKinds], changes{0}, written{0};
std::atomic<bool> active{false}, matrix_opened{false}, disk_full{false};
Fault fault = Fault::none;
int fault_kind = -1, fault_errno = 0;
long fault_at = -1;
char root[4096] = {};
thread_local char last_file[4096] = {};  // that a call was about

// By the system itself: whatever else writes is counted.
void log_line(const char* line, int length) {
  const char* log = getenv("NMLBENCH_FAULT_LOG");
  if (log == nullptr) return;
  const long file = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (file < 0) return;
  syscall(SYS_write, file, line, static_cast<size_t>(length));
  syscall(SYS_close, file);
}

bool is_meant() {
  char program[4096] = {}, arguments[4096] = {};
  if (readlink("/proc/self/exe", program, sizeof program - 1) <= 0) return false;
  if (strstr(program, "nmlbench-engine") == nullptr) return false;
  const char* in = getenv("NMLBENCH_FAULT_IN");
  if (in == nullptr) return true;
  const int file = static_cast<int>(syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY));
  const long length = syscall(SYS_read, file, arguments, sizeof arguments - 1);
  syscall(SYS_close, file);
  for (long i = 0; i + 1 < length; ++i) arguments[i] = arguments[i] == '\0' ? ' ' : arguments[i];
  const char* worker = strstr(arguments, "--worker=");
  if (strcmp(in, "team") == 0) return worker == nullptr;
  return worker != nullptr && strncmp(worker + strlen("--worker="), in, strlen(in)) == 0;
}

void read_fault(const char* text) {
  char name[32] = {}, how[32] = {};
  if (sscanf(text, "%31[a-z]:%ld:%31s", name, &fault_at, how) != 3) return;
  for (int i = 0; i < kKinds; ++i) fault_kind = strcmp(name, kNames[i]) == 0 ? i : fault_kind;
  fault_errno = atoi(how);
  fault = strcmp(how, "kill") == 0 ? Fault::kill : strcmp(how, "part") == 0 ? Fault::part : Fault::error;
  if (strcmp(name, "full") == 0) fault = Fault::full;
  if (strcmp(name, "readonly") == 0) fault = Fault::readonly;
  if (strcmp(name, "clock") == 0) fault = Fault::clock;
}

__attribute__((constructor)) void begin() {
  const char* text = getenv("NMLBENCH_FAULT");
  const char* folder = getenv("NMLBENCH_FAULT_ROOT");
  if (text == nullptr || folder == nullptr || !is_meant()) return;
  snprintf(root, sizeof root, "%s", folder);
  read_fault(text);
  pthread_atfork(nullptr, nullptr, [] { active = false; });
  active = true;
}

__attribute__((destructor)) void end() {
  if (!active.exchange(false)) return;
  char line[64];
  for (int i = 0; i < kKinds; ++i) log_line(line, snprintf(line, sizeof line, "%s %ld\n", kNames[i], calls[i].load()));
  log_line(line, snprintf(line, sizeof line, "full %ld\n", written.load()));
  log_line(line, snprintf(line, sizeof line, "readonly %ld\n", changes.load()));
}

bool below_root(const char* file) {
  if (!active) return false;
  snprintf(last_file, sizeof last_file, "%s", file);
  if (file[0] == '/') return strncmp(file, root, strlen(root)) == 0;
  char folder[4096];
  return getcwd(folder, sizeof folder) != nullptr && strncmp(folder, root, strlen(root)) == 0;
}

bool below_root(int descriptor) {
  if (!active) return false;
  char link[64], file[4096] = {};
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  return readlink(link, file, sizeof file - 1) > 0 && file[0] == '/' && below_root(file);
}

void fired(const char* name, long number) {
  char line[4200];
  log_line(line, snprintf(line, sizeof line, "fired %s %ld %.4000s\n", name, number, last_file));
  if (fault == Fault::kill) syscall(SYS_kill, getpid(), SIGKILL);
}

// Counts a call. True when it is to fail, with errno set; `part` when it may succeed in part.
bool count(Kind kind, bool* part = nullptr) {
  const long number = calls[kind]++;
  if (fault_kind != kind || number != fault_at) return false;
  fired(kNames[kind], number);
  if (fault == Fault::part) {
    disk_full = true;
    if (part != nullptr) *part = true;
  }
  errno = fault_errno;
  return fault == Fault::error;
}

// The same of a call that would change the disk; `grows`: it would need space.
bool count_change(Kind kind, bool grows, bool* part = nullptr) {
  const long number = changes++;
  if (fault == Fault::readonly && number >= fault_at) {
    if (number == fault_at) fired("readonly", number);
    errno = EROFS;
    return true;
  }
  if (grows && disk_full) {
    errno = ENOSPC;
    return true;
  }
  return count(kind, part);
}

template <typename Where>
bool fails(Kind kind, Where where) {
  return below_root(where) && count(kind);
}

template <typename Where>
bool change_fails(Kind kind, Where where, bool grows) {
  return below_root(where) && count_change(kind, grows);
}

bool open_fails(const char* file, bool creates, bool writes) {
  if (!below_root(file)) return false;
  return writes ? count_change(kOpen, creates) : count(kOpen);
}

bool creates(int flags) {
  return (flags & O_CREAT) != 0;
}
bool writes(int flags) {
  return (flags & (O_CREAT | O_WRONLY | O_RDWR)) != 0;
}
bool writes(const char* how) {
  return how[0] != 'r' || strchr(how, '+') != nullptr;
}

// `real`: writes the first so many bytes.
template <typename Real>
ssize_t write_bytes(int descriptor, size_t bytes, const Real& real) {
  if (!below_root(descriptor)) return real(bytes);
  bool part = false;
  if (count_change(kWrite, true, &part)) return -1;
  if (part && bytes > 1) return real(bytes / 2);
  const long room = fault == Fault::full ? fault_at - written : static_cast<long>(bytes);
  written += static_cast<long>(bytes);
  if (room >= static_cast<long>(bytes)) return real(bytes);
  if (!disk_full.exchange(true)) fired("full", fault_at);
  errno = ENOSPC;
  return room > 0 ? real(static_cast<size_t>(room)) : -1;
}

bool allocation_fails(size_t bytes) {
  if (!active || !matrix_opened) return false;
  last_file[0] = '\0';
  const bool large = bytes >= kBufferBytes && count(kBuffer);
  return count(kMalloc) || large;
}

bool is_off(clockid_t clock) {
  return active && fault == Fault::clock && clock == CLOCK_REALTIME;
}

}  // namespace
