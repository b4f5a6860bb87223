// The schema and its version. Migrations run forward only.
#pragma once

#include "records/columns.h"

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <SQLiteCpp/Database.h>

namespace nmlbench {

// "NMLB": tells our databases from others (PRAGMA application_id).
inline constexpr int kApplicationId = 0x4e4d4c42;

// SQL scripts; script i takes a database from version i to i + 1. Script 0 is schema.sql; those above kScriptedVersions
// follow from the table of columns.
const std::vector<std::string>& migrations();
// The script that brings the columns of `version` to the table of cells and to its views.
std::string migration_to(int version, std::span<const CellColumn> columns);
// How a query reads a column from its table, whose alias is `table`.
std::string sql_of(const CellColumn& column, std::string_view table);
// The version this program reads and writes.
int schema_version();

// The schema version of an open database; 0 for an empty one. Throws Error when the file belongs to another program
// or to a newer nmlbench than `newest`.
int checked_version(SQLite::Database& db, const std::filesystem::path& file, int newest);
// A file may come from anywhere: throws Error when a table, view or index of ours is missing or is not what our scripts
// make, or when there is a trigger, which none of them makes. Objects of other names are the user's own and left alone.
void require_our_schema(SQLite::Database& db, const std::filesystem::path& file, int version);
// Brings the database to version scripts.size() in one transaction: all of it or nothing. What an older version held is
// kept beside it as "FILE.schema-N.bak"; where that cannot be written, nothing is changed.
void migrate(SQLite::Database& db, const std::filesystem::path& file, std::span<const std::string> scripts);

}  // namespace nmlbench
