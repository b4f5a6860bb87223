#include "store.h"

#include "database.h"
#include "schema.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <thread>

#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/Transaction.h>
#include <SQLiteCpp/VariadicBind.h>
#include <fmt/format.h>
#include <sqlite3.h>

namespace nmlbench {

namespace fs = std::filesystem;

namespace {

static_assert(std::endian::native == std::endian::little, "BLOB columns hold little-endian floats");

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

void bind_floats(SQLite::Statement& statement, int index, const std::vector<float>& values) {
  // A null pointer would bind NULL.
  const void* data = values.empty() ? static_cast<const void*>("") : values.data();
  statement.bind(index, data, static_cast<int>(values.size() * sizeof(float)));
}

void insert_metrics(SQLite::Database& db, std::int64_t cell, const CellRecord& record) {
  SQLite::Statement name(db, "INSERT OR IGNORE INTO metric_names (metric) VALUES (?)");
  SQLite::Statement test_set(db, "INSERT OR IGNORE INTO test_sets (task, test_set, test_kind) VALUES (?, ?, ?)");
  SQLite::Statement value(db,
                          "INSERT INTO metrics (cell, test_set_id, metric_id, value) VALUES (?1,"
                          " (SELECT test_set_id FROM test_sets WHERE (task, test_set, test_kind) = (?2, ?3, ?4)),"
                          " (SELECT metric_id FROM metric_names WHERE metric = ?5), ?6)");
  const auto run = [](SQLite::Statement& statement, const auto&... values) {
    SQLite::bind(statement, values...);
    statement.exec();
    statement.reset();
  };
  for (const MetricRow& row : record.metrics) {
    // OR IGNORE would hide a failed CHECK as well, and the row would then miss its test set without a word.
    if (row.test_kind != "id" && row.test_kind != "ood") {
      throw Error(fmt::format("cell {}: test set \"{}\" has kind \"{}\"; expected id or ood", record.cell_id,
                              row.test_set, row.test_kind));
    }
    run(name, row.metric);
    run(test_set, record.task, row.test_set, row.test_kind);
    run(value, cell, record.task, row.test_set, row.test_kind, row.metric, row.value);
  }
}

void insert_spectra(SQLite::Database& db, std::int64_t cell, const CellRecord& record) {
  SQLite::Statement statement(
      db, "INSERT INTO spectra (cell, test_set, space, center, samples, singular_values) VALUES (?, ?, ?, ?, ?, ?)");
  for (const SpectrumRow& row : record.spectra) {
    SQLite::bind(statement, cell, row.test_set, row.space, row.center, row.rows);
    bind_floats(statement, 6, row.values);
    statement.exec();
    statement.reset();
  }
}

void insert_curve(SQLite::Database& db, std::int64_t cell, const CellRecord& record) {
  if (record.loss_curve.empty()) return;
  SQLite::Statement statement(db, "INSERT INTO curves (cell, loss) VALUES (?, ?)");
  statement.bind(1, cell);
  bind_floats(statement, 2, record.loss_curve);
  statement.exec();
}

std::int64_t insert_cell(SQLite::Database& db, std::int64_t run, const CellRecord& record) {
  execute(db,
          "INSERT OR IGNORE INTO sources (encoder, encoder_params, pretrain_dataset, noise, noise_ratio)"
          " VALUES (?, ?, ?, ?, ?)",
          record.encoder, record.encoder_params, record.pretrain_dataset, record.noise, record.noise_ratio);
  execute(db, "INSERT OR IGNORE INTO tuners (tuner, tuner_params) VALUES (?, ?)", record.tuner, record.tuner_params);
  execute(db,
          "INSERT INTO cells (cell_id, coordinates, run_id, matrix, checkpoint_id, task, fraction, seed, status,"
          " message, device, tuner_id, source_id)"
          " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, tuner_id, source_id FROM tuners, sources"
          " WHERE (tuner, tuner_params) = (?12, ?13)"
          " AND (encoder, encoder_params, pretrain_dataset, noise, noise_ratio) = (?14, ?15, ?16, ?17, ?18)",
          record.cell_id, record.coordinates, run, record.matrix, record.checkpoint_id, record.task, record.fraction,
          record.seed, record.status, record.message, record.device, record.tuner, record.tuner_params, record.encoder,
          record.encoder_params, record.pretrain_dataset, record.noise, record.noise_ratio);
  return db.getLastInsertRowid();
}

void remove_failed(SQLite::Database& db, const CellRecord& record) {
  execute(db, "DELETE FROM cells WHERE status = 'failed' AND cell_id = ?", record.cell_id);
  if (record.coordinates.empty()) return;
  execute(db, "DELETE FROM cells WHERE status = 'failed' AND coordinates = ?", record.coordinates);
}

bool is_done(SQLite::Database& db, const std::string& cell_id) {
  SQLite::Statement statement(db, "SELECT 1 FROM cells WHERE cell_id = ? AND status = 'done'");
  statement.bind(1, cell_id);
  return statement.executeStep();
}

void require_results(SQLite::Database& db, const fs::path& file) {
  const int version = checked_version(db, file, schema_version());
  if (version == 0) throw Error(fmt::format("{}: holds no results; run `nmlbench run` first", file.string()));
  if (version < schema_version()) {
    throw Error(fmt::format("{}: has the older schema version {}; `nmlbench merge NEW.sqlite {}` writes version {}",
                            file.string(), version, file.string(), schema_version()));
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
    checked_version(db, file, schema_version());  // before anything is written to somebody else's file
    if (sqlite3_db_readonly(db.getHandle(), "main") == 1) {
      throw Error(fmt::format("{}: is read-only; check its permissions or choose another file", file.string()));
    }
    switch_to_wal(db, patience);
    // In WAL mode NORMAL survives kill -9; only a power cut may lose the last transactions, never the file.
    db.exec("PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON");
    migrate(db, file, migrations());
    return Store(std::move(impl));
  });
}

Store Store::open_read_only(const fs::path& file, std::chrono::milliseconds patience) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) {
    throw Error(fmt::format("{}: no such database; name one with --db, or run `nmlbench run` first", file.string()));
  }
  const auto open_as = [&](const std::string& query) {
    auto impl = std::make_unique<Impl>(file, sqlite_uri(file, query), SQLite::OPEN_READONLY, patience);
    require_results(impl->db, file);
    return Store(std::move(impl));
  };
  return with_database_errors(file, [&] {
    try {
      return open_as("mode=ro");
    } catch (const SQLite::Exception& error) {
      // Reading a WAL database needs a lock file beside it. In a folder that cannot be written, a file without
      // pending transactions is complete by itself.
      const int code = error.getErrorCode() & 0xff;
      if ((code != SQLITE_CANTOPEN && code != SQLITE_READONLY) || fs::exists(file.string() + "-wal")) throw;
      return open_as("mode=ro&immutable=1");
    }
  });
}

std::int64_t Store::begin_run(const RunRecord& run) {
  return with_database_errors(impl_->file, [&] {
    execute(impl_->db,
            "INSERT INTO runs (matrix, matrix_json, command_line, git_revision, versions_json, host, cpu, gpu, threads)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            run.matrix, run.matrix_json, run.command_line, run.git_revision, run.versions_json, run.host, run.cpu,
            run.gpu, run.threads);
    return impl_->db.getLastInsertRowid();
  });
}

void Store::write_cell(std::int64_t run, const CellRecord& record) {
  with_database_errors(impl_->file, [&] {
    SQLite::Database& db = impl_->db;
    SQLite::Transaction transaction(db, SQLite::TransactionBehavior::IMMEDIATE);
    remove_failed(db, record);
    if (!is_done(db, record.cell_id)) {
      const std::int64_t cell = insert_cell(db, run, record);
      insert_metrics(db, cell, record);
      insert_spectra(db, cell, record);
      insert_curve(db, cell, record);
    }
    transaction.commit();
  });
}

void Store::write_stage(std::int64_t run, const StageRecord& stage) {
  with_database_errors(impl_->file, [&] {
    execute(impl_->db,
            "INSERT INTO stages (run_id, ordinal, stage, encoder, tuner, task, device, items, unit, seconds,"
            " peak_bytes) VALUES (?1, (SELECT coalesce(max(ordinal), 0) + 1 FROM stages WHERE run_id = ?1),"
            " ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            run, stage.stage, stage.encoder, stage.tuner, stage.task, stage.device, stage.items, stage.unit,
            stage.seconds, stage.peak_bytes);
  });
}

void Store::write_noise(std::int64_t run, const NoiseRecord& noise) {
  with_database_errors(impl_->file, [&] {
    execute(impl_->db,
            "INSERT INTO noise (checkpoint_id, run_id, encoder, pretrain_dataset, noise, noise_ratio, seed,"
            " realised_rate, transition) VALUES (?, ?, ?, ?, ?, ?, ?, ?, nullif(?, ''))"
            " ON CONFLICT (checkpoint_id) DO NOTHING",
            noise.checkpoint_id, run, noise.encoder, noise.pretrain_dataset, noise.noise, noise.noise_ratio, noise.seed,
            noise.realised_rate, noise.transition_json);
  });
}

std::unordered_set<std::string> Store::cells_with_status(const std::string& status) const {
  return with_database_errors(impl_->file, [&] {
    std::unordered_set<std::string> ids;
    SQLite::Statement statement(impl_->db, "SELECT cell_id FROM cells WHERE status = ?");
    statement.bind(1, status);
    while (statement.executeStep()) ids.insert(statement.getColumn(0).getString());
    return ids;
  });
}

}  // namespace nmlbench
