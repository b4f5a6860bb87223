// Preloaded into the program (LD_PRELOAD), makes one call to the system fail, as a full disk or a machine without
// memory would.
//
//   NMLBENCH_FAULT       "FUNCTION:N:ERRNO": the N-th call (from 0) of FUNCTION fails; "count": none does
//   NMLBENCH_FAULT_ROOT  calls on files count below this folder only
//   NMLBENCH_FAULT_LOG   where the numbers of calls are written when the process ends, "FUNCTION N" a line
//
// Of nmlbench-engine alone; memory counts from the moment that a matrix file is opened, since what loads a program has
// no sentence to say.
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

enum Function { kWrite, kFsync, kRename, kOpen, kMmap, kReserve, kMkdir, kMalloc, kFunctions };
constexpr const char* kNames[] = {"write", "fsync", "rename", "open", "mmap", "reserve", "mkdir", "malloc"};

std::atomic<long> calls[kFunctions];
bool active = false;
std::atomic<bool> matrix_opened{false};
int fault_function = -1, fault_errno = 0;
long fault_at = -1;
char root[4096] = {};

template <typename Call>
Call next(const char* name) {
  return reinterpret_cast<Call>(dlsym(RTLD_NEXT, name));
}

__attribute__((constructor)) void begin() {
  char program[4096] = {};
  const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
  const char* fault = getenv("NMLBENCH_FAULT");
  const char* folder = getenv("NMLBENCH_FAULT_ROOT");
  if (length <= 0 || fault == nullptr || folder == nullptr || strstr(program, "nmlbench-engine") == nullptr) return;
  snprintf(root, sizeof root, "%s", folder);
  char name[32] = {};
  if (sscanf(fault, "%31[a-z]:%ld:%d", name, &fault_at, &fault_errno) == 3) {
    for (int i = 0; i < kFunctions; ++i) {
      if (strcmp(name, kNames[i]) == 0) fault_function = i;
    }
  }
  active = true;
}

__attribute__((destructor)) void end() {
  const char* log = getenv("NMLBENCH_FAULT_LOG");
  if (!active || log == nullptr) return;
  active = false;
  if (FILE* out = fopen(log, "w")) {
    for (int i = 0; i < kFunctions; ++i) fprintf(out, "%s %ld\n", kNames[i], calls[i].load());
    fclose(out);
  }
}

bool below_root(const char* path) {
  if (path[0] == '/') return strncmp(path, root, strlen(root)) == 0;
  char folder[4096];
  return getcwd(folder, sizeof folder) != nullptr && strncmp(folder, root, strlen(root)) == 0;
}

bool below_root(int descriptor) {
  char link[64], path[4096] = {};
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  return readlink(link, path, sizeof path - 1) > 0 && below_root(path);
}

// Counts a call; true when it is to fail.
bool fails(Function function) {
  const long number = calls[function]++;
  if (function != fault_function || number != fault_at) return false;
  errno = fault_errno;
  return true;
}

bool allocation_fails() {
  if (!active || !matrix_opened) return false;
  return fails(kMalloc);
}

}  // namespace

extern "C" {

ssize_t write(int descriptor, const void* data, size_t bytes) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t)>("write");
  if (active && below_root(descriptor) && fails(kWrite)) return -1;
  return real(descriptor, data, bytes);
}

ssize_t pwrite(int descriptor, const void* data, size_t bytes, off_t at) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
  if (active && below_root(descriptor) && fails(kWrite)) return -1;
  return real(descriptor, data, bytes, at);
}

ssize_t pwrite64(int descriptor, const void* data, size_t bytes, off64_t at) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t, off64_t)>("pwrite64");
  if (active && below_root(descriptor) && fails(kWrite)) return -1;
  return real(descriptor, data, bytes, at);
}

int fsync(int descriptor) {
  static const auto real = next<int (*)(int)>("fsync");
  if (active && below_root(descriptor) && fails(kFsync)) return -1;
  return real(descriptor);
}

int fdatasync(int descriptor) {
  static const auto real = next<int (*)(int)>("fdatasync");
  if (active && below_root(descriptor) && fails(kFsync)) return -1;
  return real(descriptor);
}

int rename(const char* from, const char* to) {
  static const auto real = next<int (*)(const char*, const char*)>("rename");
  if (active && below_root(to) && fails(kRename)) return -1;
  return real(from, to);
}

int mkdir(const char* path, mode_t mode) {
  static const auto real = next<int (*)(const char*, mode_t)>("mkdir");
  if (active && below_root(path) && fails(kMkdir)) return -1;
  return real(path, mode);
}

int ftruncate(int descriptor, off_t size) {
  static const auto real = next<int (*)(int, off_t)>("ftruncate");
  if (active && below_root(descriptor) && fails(kReserve)) return -1;
  return real(descriptor, size);
}

int posix_fallocate(int descriptor, off_t from, off_t bytes) {
  static const auto real = next<int (*)(int, off_t, off_t)>("posix_fallocate");
  if (active && below_root(descriptor) && fails(kReserve)) return fault_errno;
  return real(descriptor, from, bytes);
}

int open(const char* path, int flags, ...) {
  static const auto real = next<int (*)(const char*, int, ...)>("open");
  va_list arguments;
  va_start(arguments, flags);
  const int mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, int) : 0;
  va_end(arguments);
  if (active && below_root(path) && fails(kOpen)) return -1;
  return real(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  static const auto real = next<int (*)(const char*, int, ...)>("open64");
  va_list arguments;
  va_start(arguments, flags);
  const int mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, int) : 0;
  va_end(arguments);
  if (active && below_root(path) && fails(kOpen)) return -1;
  return real(path, flags, mode);
}

FILE* fopen(const char* path, const char* how) {
  static const auto real = next<FILE* (*)(const char*, const char*)>("fopen");
  if (active && strstr(path, ".toml") != nullptr) matrix_opened = true;
  if (active && below_root(path) && fails(kOpen)) return nullptr;
  return real(path, how);
}

FILE* fopen64(const char* path, const char* how) {
  static const auto real = next<FILE* (*)(const char*, const char*)>("fopen64");
  if (active && strstr(path, ".toml") != nullptr) matrix_opened = true;
  if (active && below_root(path) && fails(kOpen)) return nullptr;
  return real(path, how);
}

void* mmap(void* where, size_t bytes, int protection, int flags, int descriptor, off_t at) {
  static const auto real = next<void* (*)(void*, size_t, int, int, int, off_t)>("mmap");
  if (active && descriptor >= 0 && below_root(descriptor) && fails(kMmap)) return MAP_FAILED;
  return real(where, bytes, protection, flags, descriptor, at);
}

void* mmap64(void* where, size_t bytes, int protection, int flags, int descriptor, off64_t at) {
  static const auto real = next<void* (*)(void*, size_t, int, int, int, off64_t)>("mmap64");
  if (active && descriptor >= 0 && below_root(descriptor) && fails(kMmap)) return MAP_FAILED;
  return real(where, bytes, protection, flags, descriptor, at);
}

void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* memory, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);

void* malloc(size_t bytes) {
  return allocation_fails() ? nullptr : __libc_malloc(bytes);
}
void* calloc(size_t count, size_t bytes) {
  return allocation_fails() ? nullptr : __libc_calloc(count, bytes);
}
void* realloc(void* memory, size_t bytes) {
  return allocation_fails() ? nullptr : __libc_realloc(memory, bytes);
}
int posix_memalign(void** out, size_t alignment, size_t bytes) {
  if (allocation_fails()) return ENOMEM;
  *out = __libc_memalign(alignment, bytes);
  return *out != nullptr ? 0 : ENOMEM;
}

// The program's last call (engine_main.cpp), which runs no destructors.
[[noreturn]] void _Exit(int status) {
  end();
  syscall(SYS_exit_group, status);
  __builtin_unreachable();
}

}  // extern "C"
