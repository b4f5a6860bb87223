#include "results/store/schema.h"

#include "migration_2_sql.inc"
#include "migration_3_sql.inc"
#include "migration_4_sql.inc"
#include "schema_sql.inc"

#include <nmlbench/error.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <string>
#include <string_view>

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

// Where the quoted text, comment, or single character that begins at `at` ends.
std::size_t token_end(std::string_view sql, std::size_t at) {
  const auto after = [&](std::string_view closing, std::size_t from) {
    const std::size_t found = sql.find(closing, from);
    return found == std::string_view::npos ? sql.size() : found + closing.size();
  };
  if (sql.substr(at, 2) == "--") return after("\n", at);
  if (sql.substr(at, 2) == "/*") return after("*/", at + 2);
  const char c = sql[at];
  if (c == '[') return after("]", at + 1);
  if (c == '\'' || c == '"' || c == '`') return after(std::string_view(&c, 1), at + 1);
  return at + 1;
}

// SQL without its comments, with one space for every white space outside of quotes: what tells two definitions apart.
std::string normalised(std::string_view sql) {
  std::string text;
  for (std::size_t at = 0, end = 0; at < sql.size(); at = end) {
    end = token_end(sql, at);
    const std::string_view token = sql.substr(at, end - at);
    const bool blank =
        token.starts_with("--") || token.starts_with("/*") || std::isspace(static_cast<unsigned char>(token[0])) != 0;
    if (!blank) {
      text += token;
    } else if (!text.empty() && text.back() != ' ') {
      text += ' ';
    }
  }
  return text;
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
