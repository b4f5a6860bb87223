#include "results/store/database.h"

#include "results/store/cell_writer.h"
#include "results/store/schema.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <cctype>
#include <iterator>

#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/Transaction.h>
#include <fmt/format.h>
#include <sqlite3.h>

namespace nmlbench {

namespace {

std::string advice(const std::filesystem::path& file, const SQLite::Exception& error) {
  switch (error.getErrorCode() & 0xff) {  // the low byte is the primary code
    case SQLITE_NOTADB:
      return "is not an SQLite database; choose another file";
    case SQLITE_CORRUPT:
      // SQLite says the same of a disk that cannot read it (SQLITE_IOERR_CORRUPTFS)
      return fmt::format(
          "is corrupt, or its disk cannot read it ({}); check the disk, restore a copy, or try: sqlite3 FILE .recover",
          error.what());
    case SQLITE_PROTOCOL:
      return "cannot be locked; its file system may have no locks, use a file on a local disk";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "is locked by another program for too long; wait until it has finished, or use another file and merge";
    case SQLITE_READONLY:
      return "cannot be written (read-only file or folder); check its permissions or choose another file";
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN: {
      std::error_code ignored;
      if (std::filesystem::is_directory(file, ignored)) return "is a folder; name a file";
      const auto folder = std::filesystem::absolute(file, ignored).parent_path();
      if (!std::filesystem::exists(folder, ignored)) {
        return fmt::format("cannot be opened: folder {} does not exist", folder.string());
      }
      return "cannot be opened or created; check the permissions of the file and its folder";
    }
    case SQLITE_FULL:
      return "cannot grow: the disk (or the quota) is full; free some space and run the same command again";
    case SQLITE_IOERR:
      return fmt::format("input/output error ({}); check the disk and its free space", error.what());
    default:
      return fmt::format("database error: {}", error.what());
  }
}

void set_option(SQLite::Database& db, int option, bool on) {
  sqlite3_db_config(db.getHandle(), option, on ? 1 : 0, nullptr);
}

}  // namespace

Store::Impl::Impl(std::filesystem::path path, std::string uri_text, int flags, std::chrono::milliseconds patience)
    : file(std::move(path)),
      uri(std::move(uri_text)),
      db(uri, flags | SQLite::OPEN_URI, static_cast<int>(patience.count())) {
  // The file may come from anywhere, and nothing in it is run: no trigger, no write to the schema by hand, and until
  // its views are known to be ours no function that they call.
  set_option(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, false);
  set_option(db, SQLITE_DBCONFIG_DEFENSIVE, true);
  set_option(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, false);
  db.exec("PRAGMA cell_size_check = ON");
}

Store::Impl::~Impl() = default;

int Store::Impl::checked_schema() {
  SQLite::Transaction reading(db);  // another process may migrate between the version and the definitions
  const int version = checked_version(db, file, schema_version());
  require_our_schema(db, file, version);
  reading.commit();
  set_option(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, true);  // v_confusion reads JSON
  return version;
}

std::int64_t count_of(const SQLite::Database& db, const char* sql) {
  SQLite::Statement statement(db, sql);
  statement.executeStep();
  return statement.getColumn(0).getInt64();
}

bool is_network_disk(std::int64_t type) {
  constexpr std::uint32_t kTypes[] = {
      0x00006969,  // NFS
      0xFF534D42,  // CIFS
      0xFE534D42,  // SMB 2 and 3
      0x00C36400,  // Ceph
      0x0BD00BD0,  // Lustre
      0x47504653,  // GPFS
      0x19830326,  // BeeGFS
      0x5346414F,  // AFS
  };
  return std::find(std::begin(kTypes), std::end(kTypes), static_cast<std::uint32_t>(type)) != std::end(kTypes);
}

std::string sqlite_uri(const std::filesystem::path& file, const std::string& query) {
  std::string uri = "file:";
  for (const unsigned char c : std::filesystem::absolute(file).string()) {
    if (std::isalnum(c) || c == '/' || c == '.' || c == '-' || c == '_') {
      uri += static_cast<char>(c);
    } else {
      uri += fmt::format("%{:02X}", c);
    }
  }
  return uri + "?" + query;
}

void throw_database_error(const std::filesystem::path& file, const SQLite::Exception& error) {
  throw Error(fmt::format("{}: {}", file.string(), advice(file, error)));
}

}  // namespace nmlbench
