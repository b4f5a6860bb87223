#include "schema.h"

#include "migration_2_sql.inc"
#include "migration_3_sql.inc"
#include "migration_4_sql.inc"
#include "schema_sql.inc"

#include <nmlbench/error.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <string>

#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/Transaction.h>
#include <fmt/format.h>

namespace nmlbench {

std::span<const char* const> migrations() {
  static constexpr const char* kScripts[] = {kSchemaSql, kMigration2Sql, kMigration3Sql, kMigration4Sql};
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

namespace {

struct SchemaObject {
  std::string type, sql;
};

// Without comments, and with one blank for any white space: what two versions of a script may differ in.
std::string normalised(const std::string& sql) {
  std::string out;
  for (std::size_t i = 0; i < sql.size(); ++i) {
    if (sql.compare(i, 2, "--") == 0) i = std::min(sql.find('\n', i), sql.size() - 1);
    const bool blank = std::isspace(static_cast<unsigned char>(sql[i])) != 0;
    if (!blank) {
      out += sql[i];
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  return out;
}

// By name; SQLite's own indices and tables are left out.
std::map<std::string, SchemaObject> objects_of(SQLite::Database& db) {
  std::map<std::string, SchemaObject> objects;
  SQLite::Statement statement(
      db, "SELECT name, type, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'");
  while (statement.executeStep()) {
    objects[statement.getColumn(0).getString()] = {statement.getColumn(1).getString(),
                                                   normalised(statement.getColumn(2).getString())};
  }
  return objects;
}

}  // namespace

void require_our_schema(SQLite::Database& db, const std::filesystem::path& file, int version) {
  SQLite::Database reference(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  for (int i = 0; i < version; ++i) reference.exec(migrations()[static_cast<std::size_t>(i)]);
  const std::map<std::string, SchemaObject> found = objects_of(db);
  for (const auto& [name, object] : found) {
    if (object.type != "trigger") continue;
    throw Error(
        fmt::format("{}: holds a trigger \"{}\", which nmlbench never makes and which may change results; drop "
                    "it if you know it: sqlite3 FILE 'DROP TRIGGER \"{}\"'",
                    file.string(), name, name));
  }
  for (const auto& [name, ours] : objects_of(reference)) {
    const auto object = found.find(name);
    if (object != found.end() && object->second.type == ours.type && object->second.sql == ours.sql) continue;
    throw Error(
        fmt::format("{}: its {} \"{}\" is {} nmlbench makes; the file was changed by something else, restore a "
                    "copy or merge it from its sources",
                    file.string(), ours.type, name, object == found.end() ? "missing, which" : "not the one that"));
  }
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
