// The functions of libc's that take a fault (fault.h).
#include "fault.h"

#include <cstdarg>
#include <ctime>
#include <new>

#include <dirent.h>
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>

namespace {

template <typename Call>
Call next(const char* name) {
  return reinterpret_cast<Call>(dlsym(RTLD_NEXT, name));
}

}  // namespace

// A function of libc's that says -1 when it has failed.
#define CALL(result, name, parameters, arguments, failed)       \
  result name parameters {                                      \
    static const auto real = next<result(*) parameters>(#name); \
    return (failed) ? -1 : real arguments;                      \
  }

extern "C" {

CALL(int, fsync, (int file), (file), change_fails(kFsync, file, false))
CALL(int, fdatasync, (int file), (file), change_fails(kFsync, file, false))
CALL(int, rename, (const char* from, const char* to), (from, to), change_fails(kRename, to, false))
CALL(int, mkdir, (const char* file, mode_t mode), (file, mode), change_fails(kMkdir, file, true))
CALL(int, remove, (const char* file), (file), change_fails(kRemove, file, false))
CALL(int, unlink, (const char* file), (file), change_fails(kRemove, file, false))
CALL(int, rmdir, (const char* file), (file), change_fails(kRemove, file, false))
CALL(int, unlinkat, (int folder, const char* file, int flags), (folder, file, flags),
     change_fails(kRemove, folder, false))
CALL(int, ftruncate, (int file, off_t size), (file, size), change_fails(kReserve, file, true))
CALL(int, ftruncate64, (int file, off64_t size), (file, size), change_fails(kReserve, file, true))
CALL(ssize_t, read, (int file, void* data, size_t bytes), (file, data, bytes), fails(kRead, file))
CALL(ssize_t, pread, (int file, void* data, size_t bytes, off_t at), (file, data, bytes, at), fails(kRead, file))
CALL(ssize_t, pread64, (int file, void* data, size_t bytes, off64_t at), (file, data, bytes, at), fails(kRead, file))

int posix_fallocate(int file, off_t from, off_t bytes) {
  static const auto real = next<int (*)(int, off_t, off_t)>("posix_fallocate");
  return change_fails(kReserve, file, true) ? errno : real(file, from, bytes);
}

int close(int file) {
  static const auto real = next<int (*)(int)>("close");
  const bool failed = fails(kClose, file);
  const int code = errno;
  const int result = real(file);
  if (failed) errno = code;
  return failed ? -1 : result;
}

ssize_t write(int file, const void* data, size_t bytes) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t)>("write");
  return write_bytes(file, bytes, [&](size_t part) { return real(file, data, part); });
}
ssize_t pwrite(int file, const void* data, size_t bytes, off_t at) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
  return write_bytes(file, bytes, [&](size_t part) { return real(file, data, part, at); });
}
ssize_t pwrite64(int file, const void* data, size_t bytes, off64_t at) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t, off64_t)>("pwrite64");
  return write_bytes(file, bytes, [&](size_t part) { return real(file, data, part, at); });
}
ssize_t writev(int file, const iovec* parts, int count) {
  static const auto real = next<ssize_t (*)(int, const iovec*, int)>("writev");
  size_t bytes = 0;
  for (int i = 0; i < count; ++i) bytes += parts[i].iov_len;
  return write_bytes(file, bytes, [&](size_t part) { return real(file, parts, part < bytes ? 1 : count); });
}

// What streams of libc's write themselves goes past the functions above.
size_t fwrite(const void* data, size_t size, size_t items, FILE* stream) {
  static const auto real = next<size_t (*)(const void*, size_t, size_t, FILE*)>("fwrite");
  const ssize_t bytes = write_bytes(fileno(stream), size * items,
                                    [&](size_t part) { return static_cast<ssize_t>(real(data, 1, part, stream)); });
  return bytes < 0 || size == 0 ? 0 : static_cast<size_t>(bytes) / size;
}
int fclose(FILE* stream) {
  static const auto real = next<int (*)(FILE*)>("fclose");
  const bool failed = fails(kClose, fileno(stream));
  const int code = errno;
  const int result = real(stream);
  if (failed) errno = code;
  return failed ? EOF : result;
}

int open(const char* file, int flags, ...) {
  static const auto real = next<int (*)(const char*, int, ...)>("open");
  va_list arguments;
  va_start(arguments, flags);
  const int mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, int) : 0;
  va_end(arguments);
  return open_fails(file, creates(flags), writes(flags)) ? -1 : real(file, flags, mode);
}
int open64(const char* file, int flags, ...) {
  static const auto real = next<int (*)(const char*, int, ...)>("open64");
  va_list arguments;
  va_start(arguments, flags);
  const int mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, int) : 0;
  va_end(arguments);
  return open_fails(file, creates(flags), writes(flags)) ? -1 : real(file, flags, mode);
}
FILE* fopen(const char* file, const char* how) {
  static const auto real = next<FILE* (*)(const char*, const char*)>("fopen");
  if (active && strstr(file, ".toml") != nullptr) matrix_opened = true;
  return open_fails(file, how[0] != 'r', writes(how)) ? nullptr : real(file, how);
}
FILE* fopen64(const char* file, const char* how) {
  static const auto real = next<FILE* (*)(const char*, const char*)>("fopen64");
  if (active && strstr(file, ".toml") != nullptr) matrix_opened = true;
  return open_fails(file, how[0] != 'r', writes(how)) ? nullptr : real(file, how);
}

DIR* opendir(const char* folder) {
  static const auto real = next<DIR* (*)(const char*)>("opendir");
  return fails(kList, folder) ? nullptr : real(folder);
}
DIR* fdopendir(int folder) {
  static const auto real = next<DIR* (*)(int)>("fdopendir");
  return fails(kList, folder) ? nullptr : real(folder);
}

int fcntl64(int file, int command, ...) {
  static const auto real = next<int (*)(int, int, ...)>("fcntl64");
  va_list arguments;
  va_start(arguments, command);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  const bool locks = command == F_SETLK || command == F_SETLKW;
  return locks && fails(kLock, file) ? -1 : real(file, command, argument);
}

void* mmap(void* where, size_t bytes, int protection, int flags, int file, off_t at) {
  static const auto real = next<void* (*)(void*, size_t, int, int, int, off_t)>("mmap");
  return file >= 0 && fails(kMmap, file) ? MAP_FAILED : real(where, bytes, protection, flags, file, at);
}
void* mmap64(void* where, size_t bytes, int protection, int flags, int file, off64_t at) {
  static const auto real = next<void* (*)(void*, size_t, int, int, int, off64_t)>("mmap64");
  return file >= 0 && fails(kMmap, file) ? MAP_FAILED : real(where, bytes, protection, flags, file, at);
}

int clock_gettime(clockid_t clock, timespec* now) {
  static const auto real = next<int (*)(clockid_t, timespec*)>("clock_gettime");
  const int failed = real(clock, now);
  if (is_off(clock)) now->tv_sec += fault_at;
  return failed;
}
int gettimeofday(timeval* now, void* zone) {
  static const auto real = next<int (*)(timeval*, void*)>("gettimeofday");
  const int failed = real(now, zone);
  if (is_off(CLOCK_REALTIME)) now->tv_sec += fault_at;
  return failed;
}
time_t time(time_t* out) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

// The allocator's own, whichever it is.
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* memory, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);

void* malloc(size_t bytes) {
  return allocation_fails(bytes) ? nullptr : __libc_malloc(bytes);
}
void* calloc(size_t count, size_t bytes) {
  return allocation_fails(count * bytes) ? nullptr : __libc_calloc(count, bytes);
}
void* realloc(void* memory, size_t bytes) {
  return allocation_fails(bytes) ? nullptr : __libc_realloc(memory, bytes);
}
int posix_memalign(void** out, size_t alignment, size_t bytes) {
  if (allocation_fails(bytes)) return ENOMEM;
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

// tcmalloc's does not call malloc().
void* operator new(size_t bytes) {
  static const auto real = next<void* (*)(size_t)>("_Znwm");
  if (allocation_fails(bytes)) throw std::bad_alloc();
  return real(bytes);
}
void* operator new[](size_t bytes) {
  static const auto real = next<void* (*)(size_t)>("_Znam");
  if (allocation_fails(bytes)) throw std::bad_alloc();
  return real(bytes);
}
