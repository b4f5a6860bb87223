#include "results/store/schema.h"

#include "migration_10_sql.inc"
#include "migration_2_sql.inc"
#include "migration_3_sql.inc"
#include "migration_4_sql.inc"
#include "migration_5_sql.inc"
#include "migration_6_sql.inc"
#include "migration_7_sql.inc"
#include "migration_8_sql.inc"
#include "migration_9_sql.inc"
#include "schema_sql.inc"

#include <nmlbench/error.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <string>
#include <string_view>
#include <variant>

#include <SQLiteCpp/Backup.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/Transaction.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

namespace nmlbench {

namespace {

constexpr const char* kHomeOfColumn[] = {"c", "s", "t", "ts", "m", "r", "z"};  // aliases of the tables, by Home

// "c.seed AS seed", or NULL for what a cell without metrics has not.
std::string expression(const CellColumn& column, bool measured) {
  const bool of_metric = column.home == Home::metrics || column.home == Home::test_sets;
  if (of_metric && !measured) return "NULL";
  if (column.name == "metric") return "n.metric";
  if (column.name == "run") return "r.uuid AS run";
  return fmt::format("{} AS {}", sql_of(column, kHomeOfColumn[static_cast<std::size_t>(column.home)]), column.name);
}

std::string selected(int version, std::span<const CellColumn> columns, InViews view, bool measured) {
  std::vector<std::string> list;
  for (const CellColumn& column : columns) {
    if (column.since > version || (column.views != InViews::both && column.views != view)) continue;
    list.push_back(expression(column, measured));
  }
  return fmt::format("{}", fmt::join(list, ", "));
}

// Of a column of `cells`: rows of earlier versions have the empty value, or NULL where none is measured.
std::string declaration(const CellColumn& column) {
  const char* type = column.type == ColumnType::real ? "REAL" : column.type == ColumnType::integer ? "INTEGER" : "TEXT";
  if (std::holds_alternative<std::optional<double> CellRecord::*>(column.member)) return type;
  return fmt::format("{} NOT NULL DEFAULT {}", type, is_numeric(column) ? "0" : "''");
}

}  // namespace

// Without a noise model its ratio is not known, and the table has 0. The cast keeps the column a number when it is
// compared with text.
std::string sql_of(const CellColumn& column, std::string_view table) {
  if (column.name == "noise_ratio")
    return fmt::format("CAST(iif({0}.noise <> '', {0}.noise_ratio, NULL) AS REAL)", table);
  if (column.name == "provenance") return fmt::format("coalesce({}.provenance, '')", table);
  return fmt::format("{}.{}", table, column.name);
}

// Runs of before version 5 keep the recipes of their checkpoints in the plan that they recorded.
constexpr const char* kRecipesOfOldCells = R"(
UPDATE cells SET recipe = coalesce((
  SELECT json_extract(c.value, '$.optim') FROM runs r, json_each(r.matrix_json, '$.checkpoints') c
  WHERE r.run_id = cells.run_id AND json_extract(c.value, '$.id') = cells.checkpoint_id), '')
WHERE checkpoint_id IN (SELECT checkpoint_id FROM noise);
)";

std::string migration_to(int version, std::span<const CellColumn> columns) {
  std::string script;
  for (const CellColumn& column : columns) {
    if (column.since != version || column.home == Home::noise) continue;
    if (column.home != Home::cells) throw Error("bug: a new column belongs into the table `cells`");
    script += fmt::format("ALTER TABLE cells ADD COLUMN {} {};\n", column.name, declaration(column));
  }
  constexpr const char* kSources =
      "JOIN sources s USING (source_id) JOIN tuners t USING (tuner_id) "
      "LEFT JOIN noise z USING (checkpoint_id)";
  return script + fmt::format(R"(DROP VIEW v_results;
CREATE VIEW v_results AS
SELECT {} FROM metrics m JOIN metric_names n USING (metric_id) JOIN test_sets ts USING (test_set_id) JOIN cells c USING (cell) {}
UNION ALL
SELECT {} FROM cells c {} WHERE NOT EXISTS (SELECT 1 FROM metrics m WHERE m.cell = c.cell);
DROP VIEW v_cells;
CREATE VIEW v_cells AS SELECT {} FROM cells c {} JOIN runs r USING (run_id);
)",
                              selected(version, columns, InViews::results, true), kSources,
                              selected(version, columns, InViews::results, false), kSources,
                              selected(version, columns, InViews::cells, true), kSources);
}

const std::vector<std::string>& migrations() {
  static const std::vector<std::string> kScripts = [] {
    std::vector<std::string> scripts = {kSchemaSql, kMigration2Sql, kMigration3Sql, kMigration4Sql};
    struct More {  // what the table of columns does not say of a version: before its columns are there, and after
      std::string before, after;
    };
    const std::map<int, More> more = {{5, {kMigration5Sql, kRecipesOfOldCells}},
                                      {6, {kMigration6Sql, ""}},
                                      {7, {kMigration7Sql, ""}},
                                      {8, {"", kMigration8Sql}},
                                      {9, {"", kMigration9Sql}},
                                      {10, {"", kMigration10Sql}}};
    int newest = more.rbegin()->first;
    for (const CellColumn& column : kCellColumns) newest = std::max(newest, column.since);
    for (int version = kScriptedVersions + 1; version <= newest; ++version) {
      const auto found = more.find(version);
      const More own = found == more.end() ? More() : found->second;
      scripts.push_back(own.before + migration_to(version, kCellColumns) + own.after);
    }
    return scripts;
  }();
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

// What the file holds, as "FILE.schema-N.bak" beside it, whole or not at all. Throws as SQLite does.
void keep_copy(const std::filesystem::path& file, int version) {
  const std::string copy = fmt::format("{}.schema-{}.bak", file.string(), version);
  const std::string partial = fmt::format("{}.{}.partial", copy, ::getpid());
  try {
    SQLite::Database from(file.string(), SQLite::OPEN_READONLY);
    SQLite::Database to(partial, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    SQLite::Backup(to, from).executeStep();
  } catch (...) {
    std::filesystem::remove(partial);
    throw;
  }
  std::filesystem::rename(partial, copy);
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

void migrate(SQLite::Database& db, const std::filesystem::path& file, std::span<const std::string> scripts) {
  const int target = static_cast<int>(scripts.size());
  if (checked_version(db, file, target) == target) return;
  SQLite::Transaction transaction(db, SQLite::TransactionBehavior::IMMEDIATE);
  int version = checked_version(db, file, target);  // another process may have migrated while this one waited
  if (version > 0 && version < target) keep_copy(file, version);
  for (; version < target; ++version) db.exec(scripts[version]);
  db.exec(fmt::format("PRAGMA application_id = {}", kApplicationId));
  db.exec(fmt::format("PRAGMA user_version = {}", target));
  transaction.commit();
}

}  // namespace nmlbench
