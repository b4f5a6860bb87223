#include "schema.h"

#include "migration_2_sql.inc"
#include "migration_3_sql.inc"
#include "schema_sql.inc"

#include <nmlbench/error.h>

#include <SQLiteCpp/Transaction.h>
#include <fmt/format.h>

namespace nmlbench {

std::span<const char* const> migrations() {
  static constexpr const char* kScripts[] = {kSchemaSql, kMigration2Sql, kMigration3Sql};
  return kScripts;
}

int schema_version() {
  return static_cast<int>(migrations().size());
}

int checked_version(SQLite::Database& db, const std::filesystem::path& file, int newest) {
  const int version = db.execAndGet("PRAGMA user_version").getInt();
  const bool empty = db.execAndGet("SELECT count(*) FROM sqlite_schema").getInt() == 0;
  if (empty && version == 0) return 0;
  if (db.execAndGet("PRAGMA application_id").getInt() != kApplicationId) {
    throw Error(fmt::format("{}: is an SQLite database of another program; choose another file", file.string()));
  }
  if (version > newest) {
    throw Error(
        fmt::format("{}: has schema version {}, written by a newer nmlbench; this one knows versions up to {}; "
                    "update nmlbench or choose another file",
                    file.string(), version, newest));
  }
  return version;
}

void migrate(SQLite::Database& db, const std::filesystem::path& file, std::span<const char* const> scripts) {
  const int target = static_cast<int>(scripts.size());
  if (checked_version(db, file, target) == target) return;
  SQLite::Transaction transaction(db, SQLite::TransactionBehavior::IMMEDIATE);
  // Another process may have migrated while this one waited for the lock.
  for (int version = checked_version(db, file, target); version < target; ++version) db.exec(scripts[version]);
  db.exec(fmt::format("PRAGMA application_id = {}", kApplicationId));
  db.exec(fmt::format("PRAGMA user_version = {}", target));
  transaction.commit();
}

}  // namespace nmlbench
