// The results database: one SQLite file, WAL, foreign keys on. The only writer.
#pragma once

#include "records/records.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace nmlbench {

class Store {
 public:
  // How long to wait for another process to finish its transaction before giving up.
  static constexpr std::chrono::milliseconds kPatience{5000};

  // Opens or creates `file` and migrates it to the current schema. Throws Error with one clear line: not a database,
  // newer schema (names both versions), locked, read-only, unwritable folder. Every other member throws the same way.
  static Store open(const std::filesystem::path& file, std::chrono::milliseconds patience = kPatience);
  // For a file that no other process opens meanwhile, as those who share a run have agreed (support/leases.h): without
  // locks and WAL, so that it may lie on a network file system.
  static Store open_alone(const std::filesystem::path& file);
  // For queries; a file that does not exist, or holds no results, is an Error. A database of an older schema version is
  // migrated first; when it cannot be written, that is an Error.
  static Store open_read_only(const std::filesystem::path& file, std::chrono::milliseconds patience = kPatience);

  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  ~Store();

  // It starts after `after` and after all runs of its matrix, whatever the clock says: by that the newer plan is known.
  std::int64_t begin_run(const RunRecord& run, const std::string& after = "");
  // When the newest run of a matrix began; "" without one.
  std::string newest_start(const std::string& matrix) const;
  // Cells of this matrix that are not among `cell_ids` are superseded from now on, those among them are not.
  void set_newest_plan(const std::string& matrix, std::span<const std::string> cell_ids);
  // One transaction: the cells with their metrics, spectra, confusion matrices and curves; all of them or none. A cell
  // that is there as 'done' is left as it is; one that is there as 'failed' (same id, or same coordinates) is
  // replaced. Several processes may write the same file.
  void write_cells(std::int64_t run, std::span<const CellRecord> cells);
  void write_cell(std::int64_t run, const CellRecord& cell) { write_cells(run, {&cell, 1}); }
  void write_stage(std::int64_t run, const StageRecord& stage);
  // Once per checkpoint; a second write adds an upstream accuracy, and what is stated anew.
  void write_noise(std::int64_t run, const NoiseRecord& noise);

  // Once per measurement.
  void write_alignment(const AlignmentRecord& alignment);

  // More lines of a run's log.
  void write_log(std::int64_t run, std::span<const LogRecord> lines);

  // Ids of all cells that failed by a fault of their own. Those that failed for want of something of the machine's are
  // tried again by the same command.
  std::unordered_set<std::string> cells_that_stay_failed() const;
  // Why they failed, of all cells that did, by their ids.
  std::unordered_map<std::string, std::string> failures() const;
  // Ids of all cells with this status ("done" or "failed").
  std::unordered_set<std::string> cells_with_status(const std::string& status) const;
  // NoiseRecord::validation_id of all checkpoints whose upstream accuracy is known.
  std::unordered_set<std::string> known_validations() const;

  // For the other files of results/ (database.h).
  struct Impl;
  Impl& impl() { return *impl_; }
  const Impl& impl() const { return *impl_; }

 private:
  std::unordered_set<std::string> ids(const char* query) const;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace nmlbench
