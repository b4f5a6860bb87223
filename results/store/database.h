// Opening SQLite files, and turning SQLite's errors into one line that a user can act on. Internal to results/.
#pragma once

#include "results/store/store.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>

namespace nmlbench {

class CellWriter;

struct Store::Impl {
  std::filesystem::path file;
  std::string uri;  // how the file was opened
  SQLite::Database db;
  std::unique_ptr<CellWriter> cell_writer;  // made by the first write; its statements end before `db`

  Impl(std::filesystem::path path, std::string uri_text, int flags, std::chrono::milliseconds patience);
  ~Impl();

  // The schema's version, 0 of an empty file; throws Error unless it is as nmlbench makes it. The views may call
  // functions from then on.
  int checked_schema();
};

// The one number that a query gives.
std::int64_t count_of(const SQLite::Database& db, const char* sql);

// Whether this number of statfs() is of a file system that several machines write: WAL needs memory that all its
// readers share, which machines do not.
bool is_network_disk(std::int64_t type);

// "file:/a/b.sqlite?mode=ro", with everything that a URI gives a meaning percent-encoded.
std::string sqlite_uri(const std::filesystem::path& file, const std::string& query);

// Throws Error: "FILE: what happened; what to do".
[[noreturn]] void throw_database_error(const std::filesystem::path& file, const SQLite::Exception& error);

// Runs `work`, its SQLite errors translated.
template <typename Work>
auto with_database_errors(const std::filesystem::path& file, Work&& work) -> decltype(work()) {
  try {
    return std::forward<Work>(work)();
  } catch (const SQLite::Exception& error) {
    throw_database_error(file, error);
  }
}

}  // namespace nmlbench
