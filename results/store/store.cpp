#include "results/store/store.h"

#include "results/store/cell_writer.h"
#include "results/store/database.h"
#include "results/store/schema.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <thread>

#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/Transaction.h>
#include <SQLiteCpp/VariadicBind.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/vfs.h>

namespace nmlbench {

namespace fs = std::filesystem;

namespace {

template <typename... Values>
int execute(SQLite::Database& db, const char* sql, const Values&... values) {
  SQLite::Statement statement(db, sql);
  SQLite::bind(statement, values...);
  return statement.exec();
}

// Switching to WAL needs the file for itself for a moment, and SQLite does not wait for that on its own.
void switch_to_wal(SQLite::Database& db, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (true) {
    try {
      db.exec("PRAGMA journal_mode = WAL");
      return;
    } catch (const SQLite::Exception& error) {
      if (error.getErrorCode() != SQLITE_BUSY || std::chrono::steady_clock::now() > deadline) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

bool is_on_network_disk(const fs::path& file) {
  struct statfs disk {};
  return ::statfs(file.c_str(), &disk) == 0 && is_network_disk(disk.f_type);
}

// Whether the database has the schema of this program; an older one needs a migration.
bool is_current(Store::Impl& impl) {
  const int version = impl.checked_schema();
  if (version == 0) throw Error(fmt::format("{}: holds no results; run `nmlbench run` first", impl.file.string()));
  return version == schema_version();
}

void migrate_for_reading(const fs::path& file, std::chrono::milliseconds patience) {
  try {
    Store::open(file, patience);
  } catch (const Error& error) {
    throw Error(
        fmt::format("{} (it has an older schema version and needs to be written once to be read)", error.what()));
  }
}

}  // namespace

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;
Store::~Store() = default;

Store Store::open(const fs::path& file, std::chrono::milliseconds patience) {
  return with_database_errors(file, [&] {
    auto impl = std::make_unique<Impl>(file, sqlite_uri(file, "mode=rwc"), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE,
                                       patience);
    SQLite::Database& db = impl->db;
    impl->checked_schema();  // before anything is written to somebody else's file
    if (sqlite3_db_readonly(db.getHandle(), "main") == 1) {
      throw Error(fmt::format("{}: is read-only; check its permissions or choose another file", file.string()));
    }
    if (is_on_network_disk(file)) {
      db.exec("PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL");
    } else {
      switch_to_wal(db, patience);
      // In WAL mode NORMAL survives kill -9; only a power cut may lose the last transactions, never the file.
      db.exec("PRAGMA synchronous = NORMAL");
    }
    db.exec("PRAGMA foreign_keys = ON");
    migrate(db, file, migrations());
    return Store(std::move(impl));
  });
}

Store Store::open_alone(const fs::path& file) {
  return with_database_errors(file, [&] {
    auto impl = std::make_unique<Impl>(file, sqlite_uri(file, "mode=rwc&nolock=1"),
                                       SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kPatience);
    SQLite::Database& db = impl->db;
    impl->checked_schema();
    db.exec("PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
    migrate(db, file, migrations());
    return Store(std::move(impl));
  });
}

Store Store::open_read_only(const fs::path& file, std::chrono::milliseconds patience) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) {
    throw Error(fmt::format("{}: no such database; name one with --db, or run `nmlbench run` first", file.string()));
  }
  const auto connect = [&](const std::string& query, int flags) {
    auto impl = std::make_unique<Impl>(file, sqlite_uri(file, query), flags, patience);
    impl->db.exec("PRAGMA query_only = ON");
    return impl;
  };
  const auto open_as = [&](const std::string& query, int flags) {
    auto impl = connect(query, flags);
    if (!is_current(*impl)) {
      impl.reset();
      migrate_for_reading(file, patience);
      impl = connect(query, flags);
      impl->checked_schema();
    }
    return Store(std::move(impl));
  };
  return with_database_errors(file, [&] {
    try {
      // a connection that may not write leaves the files of the WAL behind
      return open_as("mode=rw", SQLite::OPEN_READWRITE);
    } catch (const SQLite::Exception& error) {
      // Reading a WAL database needs a lock file beside it. In a folder that cannot be written, a file without
      // pending transactions is complete by itself.
      const int code = error.getErrorCode() & 0xff;
      if ((code != SQLITE_CANTOPEN && code != SQLITE_READONLY) || fs::exists(file.string() + "-wal")) throw;
      return open_as("mode=ro&immutable=1", SQLite::OPEN_READONLY);
    }
  });
}

std::int64_t Store::begin_run(const RunRecord& run, const std::string& after) {
  return with_database_errors(impl_->file, [&] {
    // Merging asks which of two runs is the newer: seconds do not tell, and clocks are set back.
    execute(
        impl_->db,
        "INSERT INTO runs (matrix, matrix_json, command_line, git_revision, versions_json, host, cpu, gpu, threads,"
        " matrix_source, started_at) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
        " max(strftime('%Y-%m-%dT%H:%M:%fZ'), coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', max(t), '+0.001 seconds'), ''))"
        " FROM (SELECT ?11 AS t UNION ALL SELECT started_at FROM runs WHERE matrix = ?1)",
        run.matrix, run.matrix_json, run.command_line, run.git_revision, run.versions_json, run.host, run.cpu, run.gpu,
        run.threads, run.matrix_source, after);
    const std::int64_t id = impl_->db.getLastInsertRowid();
    execute(impl_->db,
            "INSERT INTO log (run_id, ordinal, at, level, message) SELECT run_id, 1, strftime('%Y-%m-%dT%H:%M:%SZ'),"
            " 'warning', 'the clock is behind the last run of this matrix; started_at is a millisecond after that one'"
            " FROM runs WHERE run_id = ? AND started_at > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+1 second')",
            id);
    return id;
  });
}

std::string Store::newest_start(const std::string& matrix) const {
  return with_database_errors(impl_->file, [&] {
    SQLite::Statement statement(impl_->db, "SELECT coalesce(max(started_at), '') FROM runs WHERE matrix = ?");
    statement.bind(1, matrix);
    statement.executeStep();
    return statement.getColumn(0).getString();
  });
}

void Store::set_newest_plan(const std::string& matrix, std::span<const std::string> cell_ids) {
  with_database_errors(impl_->file, [&] {
    SQLite::Database& db = impl_->db;
    SQLite::Transaction transaction(db, SQLite::TransactionBehavior::IMMEDIATE);
    db.exec("CREATE TEMP TABLE newest_plan (cell_id TEXT PRIMARY KEY) WITHOUT ROWID");
    SQLite::Statement insert(db, "INSERT OR IGNORE INTO newest_plan VALUES (?)");
    for (const std::string& id : cell_ids) {
      insert.bindNoCopy(1, id);
      insert.exec();
      insert.reset();
    }
    execute(db,
            "UPDATE cells SET superseded = NOT superseded"
            " WHERE matrix = ? AND superseded = (cell_id IN (SELECT cell_id FROM newest_plan))",
            matrix);
    db.exec("DROP TABLE temp.newest_plan");
    transaction.commit();
  });
}

void Store::write_cells(std::int64_t run, std::span<const CellRecord> cells) {
  with_database_errors(impl_->file, [&] {
    if (!impl_->cell_writer) impl_->cell_writer = std::make_unique<CellWriter>(impl_->db);
    try {
      SQLite::Transaction transaction(impl_->db, SQLite::TransactionBehavior::IMMEDIATE);
      for (const CellRecord& cell : cells) impl_->cell_writer->write(run, cell);
      transaction.commit();
    } catch (...) {
      impl_->cell_writer.reset();  // it remembers rows that are gone with the transaction
      throw;
    }
  });
}

void Store::write_stage(std::int64_t run, const StageRecord& stage) {
  with_database_errors(impl_->file, [&] {
    execute(impl_->db,
            "INSERT INTO stages (run_id, ordinal, stage, encoder, tuner, task, device, items, unit, seconds,"
            " peak_bytes, batch, encoder_params, recipe, tuner_params, cache_bytes)"
            " VALUES (?1, (SELECT coalesce(max(ordinal), 0) + 1 FROM stages WHERE run_id = ?1),"
            " ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            run, stage.stage, stage.encoder, stage.tuner, stage.task, stage.device, stage.items, stage.unit,
            stage.seconds, stage.peak_bytes, stage.batch, stage.encoder_params, stage.recipe, stage.tuner_params,
            stage.cache_bytes);
  });
}

void Store::write_noise(std::int64_t run, const NoiseRecord& noise) {
  with_database_errors(impl_->file, [&] {
    execute(impl_->db,
            "INSERT INTO noise (checkpoint_id, run_id, encoder, pretrain_dataset, noise, noise_ratio, seed,"
            " realised_rate, transition, provenance, validation, validation_id, upstream_samples, upstream_accuracy)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, nullif(?, ''), ?, nullif(?, ''), nullif(?, ''), nullif(?, 0), ?)"
            // what is stated may be stated better later, and what was not asked for may be asked for later
            " ON CONFLICT (checkpoint_id) DO UPDATE SET"
            " realised_rate = iif(provenance = 'stated', excluded.realised_rate, realised_rate),"
            " validation = coalesce(excluded.validation, validation),"
            " validation_id = coalesce(excluded.validation_id, validation_id),"
            " upstream_samples = coalesce(excluded.upstream_samples, upstream_samples),"
            " upstream_accuracy = coalesce(excluded.upstream_accuracy, upstream_accuracy)",
            noise.checkpoint_id, run, noise.encoder, noise.pretrain_dataset, noise.noise, noise.noise_ratio, noise.seed,
            // SQLite makes NULL of NaN
            noise.realised_rate.value_or(std::numeric_limits<double>::quiet_NaN()), noise.transition_json,
            noise.stated ? "stated" : "here", noise.validation, noise.validation_id, noise.upstream_samples,
            noise.upstream_accuracy.value_or(std::numeric_limits<double>::quiet_NaN()));
  });
}

void Store::write_alignment(const AlignmentRecord& alignment) {
  with_database_errors(impl_->file, [&] {
    execute(impl_->db, "INSERT OR IGNORE INTO alignments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", alignment.id,
            alignment.checkpoint_id, alignment.twin_id, alignment.task, alignment.test_set, alignment.test_kind,
            alignment.directions, alignment.samples, alignment.angle, alignment.encoder_params);
  });
}

void Store::write_log(std::int64_t run, std::span<const LogRecord> lines) {
  with_database_errors(impl_->file, [&] {
    SQLite::Transaction transaction(impl_->db, SQLite::TransactionBehavior::IMMEDIATE);
    for (const LogRecord& line : lines) {
      execute(impl_->db,
              "INSERT INTO log (run_id, ordinal, at, level, message)"
              " SELECT ?1, coalesce(max(ordinal), 0) + 1, ?2, ?3, ?4 FROM log WHERE run_id = ?1",
              run, line.at, line.level, line.message);
    }
    transaction.commit();
  });
}

std::unordered_set<std::string> Store::cells_with_status(const std::string& status) const {
  return ids(status == "done" ? "SELECT cell_id FROM cells WHERE status = 'done'"
                              : "SELECT cell_id FROM cells WHERE status = 'failed'");
}

std::unordered_set<std::string> Store::cells_that_stay_failed() const {
  return ids("SELECT cell_id FROM cells WHERE status = 'failed' AND NOT transient");
}

std::unordered_map<std::string, std::string> Store::failures() const {
  return with_database_errors(impl_->file, [&] {
    std::unordered_map<std::string, std::string> messages;
    SQLite::Statement statement(impl_->db, "SELECT cell_id, message FROM cells WHERE status = 'failed'");
    while (statement.executeStep())
      messages.emplace(statement.getColumn(0).getString(), statement.getColumn(1).getString());
    return messages;
  });
}

std::unordered_set<std::string> Store::known_validations() const {
  return ids("SELECT validation_id FROM noise WHERE upstream_accuracy IS NOT NULL");
}

std::unordered_set<std::string> Store::ids(const char* query) const {
  return with_database_errors(impl_->file, [&] {
    std::unordered_set<std::string> ids;
    SQLite::Statement statement(impl_->db, query);
    while (statement.executeStep()) ids.insert(statement.getColumn(0).getString());
    return ids;
  });
}

}  // namespace nmlbench
