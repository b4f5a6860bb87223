#include "results/store/merge.h"

#include "records/columns.h"
#include "records/metrics.h"
#include "results/store/database.h"
#include "results/store/newest_plan.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <system_error>

#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/Transaction.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace fs = std::filesystem;

namespace {

// `main` is the output, `src` the input. Row numbers differ between the two, so every reference goes through what
// identifies a row in both: a run's uuid, a cell's id, names.

constexpr const char* kShared = R"(
INSERT OR IGNORE INTO main.runs (uuid, matrix, matrix_json, command_line, git_revision, versions_json, host, cpu, gpu,
                                 threads, started_at, matrix_source)
  SELECT uuid, matrix, matrix_json, command_line, git_revision, versions_json, host, cpu, gpu, threads, started_at,
         matrix_source
  FROM src.runs ORDER BY run_id;
INSERT OR IGNORE INTO main.sources (encoder, encoder_params, pretrain_dataset, noise, noise_ratio)
  SELECT encoder, encoder_params, pretrain_dataset, noise, noise_ratio FROM src.sources;
INSERT OR IGNORE INTO main.tuners (tuner, tuner_params) SELECT tuner, tuner_params FROM src.tuners;
INSERT OR IGNORE INTO main.test_sets (task, test_set, test_kind) SELECT task, test_set, test_kind FROM src.test_sets;
INSERT OR IGNORE INTO main.metric_names (metric) SELECT metric FROM src.metric_names;
INSERT OR IGNORE INTO main.sample_sets (digest, samples, classes, encoding, labels)
  SELECT digest, samples, classes, encoding, labels FROM src.sample_sets;
)";

constexpr const char* kDropSuperseded = R"(
DELETE FROM main.cells WHERE status = 'failed'
  AND (cell_id IN (SELECT cell_id FROM src.cells WHERE status = 'done')
       OR (coordinates <> '' AND coordinates IN (SELECT coordinates FROM src.cells WHERE status = 'done')))
)";

// Matrices whose newest runs have different plans in the two: the newer plan decides what is superseded.
constexpr const char* kComparePlans = R"(
CREATE TEMP TABLE plans_differ AS
SELECT m.matrix, s.started_at > m.started_at AS input_is_newer
FROM (SELECT matrix, matrix_json, max(started_at) AS started_at FROM main.runs GROUP BY matrix) m
JOIN (SELECT matrix, matrix_json, max(started_at) AS started_at FROM src.runs GROUP BY matrix) s USING (matrix)
WHERE s.matrix_json <> m.matrix_json
)";

// After the copy; cells that only the older side had are of no plan any more.
// Of one plan, as of the shards of a matrix, a cell is in it that one side has there.
constexpr const char* kSupersede = R"(
UPDATE main.cells SET superseded = coalesce((SELECT s.superseded FROM src.cells s WHERE s.cell_id = cells.cell_id), 1)
  WHERE matrix IN (SELECT matrix FROM temp.plans_differ WHERE input_is_newer);
UPDATE main.cells SET superseded = 1
  WHERE matrix IN (SELECT matrix FROM temp.plans_differ WHERE NOT input_is_newer)
    AND cell_id IN (SELECT cell_id FROM temp.new_cells);
UPDATE main.cells SET superseded = 0
  WHERE superseded AND matrix NOT IN (SELECT matrix FROM temp.plans_differ)
    AND cell_id IN (SELECT cell_id FROM src.cells WHERE NOT superseded);
DROP TABLE temp.plans_differ;
)";

// A failed cell of the input is only news when the output knows nothing of it.
constexpr const char* kFindNew = R"(
CREATE TEMP TABLE new_cells AS
SELECT s.cell AS source_cell, s.cell_id FROM src.cells s
WHERE NOT EXISTS (SELECT 1 FROM main.cells m WHERE m.cell_id = s.cell_id)
  AND (s.status = 'done' OR s.coordinates = ''
       OR s.coordinates NOT IN (SELECT coordinates FROM main.cells))
)";

// The columns of `cells` go in place of {0} and, as the input's, of {1}.
constexpr const char* kCopyCells = R"(
INSERT INTO main.cells (run_id, source_id, tuner_id, {0})
  SELECT run.run_id, source.source_id, tuner.tuner_id, {1}
  FROM temp.new_cells n
  JOIN src.cells c ON c.cell = n.source_cell
  JOIN src.runs sr ON sr.run_id = c.run_id JOIN main.runs run ON run.uuid = sr.uuid
  JOIN src.tuners st ON st.tuner_id = c.tuner_id
  JOIN main.tuners tuner ON (tuner.tuner, tuner.tuner_params) = (st.tuner, st.tuner_params)
  JOIN src.sources ss ON ss.source_id = c.source_id
  JOIN main.sources source
    ON (source.encoder, source.encoder_params, source.pretrain_dataset, source.noise, source.noise_ratio)
     = (ss.encoder, ss.encoder_params, ss.pretrain_dataset, ss.noise, ss.noise_ratio);
)";

constexpr const char* kCopyParts = R"(
INSERT INTO main.metrics (cell, test_set_id, metric_id, value)
  SELECT c.cell, test_set.test_set_id, name.metric_id, m.value
  FROM temp.new_cells n
  JOIN main.cells c ON c.cell_id = n.cell_id
  JOIN src.metrics m ON m.cell = n.source_cell
  JOIN src.test_sets st ON st.test_set_id = m.test_set_id
  JOIN main.test_sets test_set
    ON (test_set.task, test_set.test_set, test_set.test_kind) = (st.task, st.test_set, st.test_kind)
  JOIN src.metric_names sn ON sn.metric_id = m.metric_id JOIN main.metric_names name ON name.metric = sn.metric;
INSERT OR IGNORE INTO main.metrics (cell, test_set_id, metric_id, value)
  SELECT b.target, t.target, n.target, m.value
  FROM temp.done_in_both b JOIN src.metrics m ON m.cell = b.source
  JOIN temp.test_set_map t ON t.source = m.test_set_id JOIN temp.metric_map n ON n.source = m.metric_id
  JOIN main.metric_names name ON name.metric_id = n.target AND name.metric IN ({});
INSERT INTO main.spectra (cell, test_set, space, center, samples, singular_values)
  SELECT c.cell, s.test_set, s.space, s.center, s.samples, s.singular_values
  FROM temp.new_cells n JOIN main.cells c ON c.cell_id = n.cell_id JOIN src.spectra s ON s.cell = n.source_cell;
INSERT INTO main.confusion (cell, test_set, classes, counts)
  SELECT c.cell, k.test_set, k.classes, k.counts
  FROM temp.new_cells n JOIN main.cells c ON c.cell_id = n.cell_id JOIN src.confusion k ON k.cell = n.source_cell;
INSERT INTO main.candidates (cell, candidate, params, status, message, chosen, accuracy, loss)
  SELECT c.cell, k.candidate, k.params, k.status, k.message, k.chosen, k.accuracy, k.loss
  FROM temp.new_cells n JOIN main.cells c ON c.cell_id = n.cell_id JOIN src.candidates k ON k.cell = n.source_cell;
INSERT OR IGNORE INTO main.predictions (cell, test_set, sample_set, encoding, packed)
  SELECT n.target, p.test_set, m.sample_set, p.encoding, p.packed
  FROM temp.answering n JOIN src.predictions p ON p.cell = n.source
  JOIN src.sample_sets s ON s.sample_set = p.sample_set JOIN main.sample_sets m ON m.digest = s.digest;
INSERT OR IGNORE INTO main.probabilities (cell, test_set, part, sample_set, encoding, packed)
  SELECT n.target, p.test_set, p.part, m.sample_set, p.encoding, p.packed
  FROM temp.answering n JOIN src.probabilities p ON p.cell = n.source
  JOIN src.sample_sets s ON s.sample_set = p.sample_set JOIN main.sample_sets m ON m.digest = s.digest;
INSERT INTO main.curves (cell, loss)
  SELECT c.cell, v.loss
  FROM temp.new_cells n JOIN main.cells c ON c.cell_id = n.cell_id JOIN src.curves v ON v.cell = n.source_cell;
INSERT OR IGNORE INTO main.stages
  SELECT run.run_id, s.ordinal, s.stage, s.encoder, s.tuner, s.task, s.device, s.items, s.unit, s.seconds, s.peak_bytes,
         s.batch, s.encoder_params, s.recipe, s.tuner_params, s.cache_bytes
  FROM src.stages s JOIN src.runs sr ON sr.run_id = s.run_id JOIN main.runs run ON run.uuid = sr.uuid;
INSERT OR IGNORE INTO main.log
  SELECT run.run_id, l.ordinal, l.at, l.level, l.message
  FROM src.log l JOIN src.runs sr ON sr.run_id = l.run_id JOIN main.runs run ON run.uuid = sr.uuid;
INSERT INTO main.noise
  SELECT z.checkpoint_id, run.run_id, z.encoder, z.pretrain_dataset, z.noise, z.noise_ratio, z.seed, z.realised_rate,
         z.transition, z.provenance, z.validation, z.validation_id, z.upstream_samples, z.upstream_accuracy
  FROM src.noise z JOIN src.runs sr ON sr.run_id = z.run_id JOIN main.runs run ON run.uuid = sr.uuid
  WHERE true
  ON CONFLICT (checkpoint_id) DO UPDATE SET validation = excluded.validation, validation_id = excluded.validation_id,
    upstream_samples = excluded.upstream_samples, upstream_accuracy = excluded.upstream_accuracy
  WHERE upstream_accuracy IS NULL;
INSERT OR IGNORE INTO main.alignments SELECT * FROM src.alignments;
)";

// Row numbers of the input and what they are in the output; cells that both hold finished. Indexed both
// ways. And the cells whose answers the input may bring: new ones and those.
constexpr const char* kMapRows = R"(
CREATE TEMP TABLE test_set_map (source INTEGER PRIMARY KEY, target INTEGER UNIQUE);
INSERT INTO test_set_map SELECT s.test_set_id, m.test_set_id
  FROM src.test_sets s JOIN main.test_sets m USING (task, test_set, test_kind);
CREATE TEMP TABLE metric_map (source INTEGER PRIMARY KEY, target INTEGER UNIQUE);
INSERT INTO metric_map SELECT s.metric_id, m.metric_id FROM src.metric_names s JOIN main.metric_names m USING (metric);
CREATE TEMP TABLE done_in_both (source INTEGER PRIMARY KEY, target INTEGER UNIQUE, cell_id TEXT);
INSERT INTO done_in_both SELECT s.cell, m.cell, s.cell_id FROM src.cells s JOIN main.cells m USING (cell_id)
  WHERE m.status = 'done' AND s.status = 'done';
CREATE TEMP VIEW answering AS
  SELECT c.cell AS target, n.source_cell AS source
  FROM temp.new_cells n JOIN main.cells c ON c.cell_id = n.cell_id
  UNION ALL SELECT target, source FROM temp.done_in_both;
)";

constexpr const char* kForgetRows = R"(
DROP VIEW temp.answering;
DROP TABLE temp.test_set_map; DROP TABLE temp.metric_map; DROP TABLE temp.done_in_both; DROP TABLE temp.new_cells;
)";

// Metrics of cells that both hold finished: those that differ or that only the input has, then those that only the
// output has. CROSS JOIN keeps the planner from starting at the large tables.
constexpr const char* kFindConflicts = R"(
SELECT b.cell_id, n.metric, ts.test_set, k.value, f.value, k.cell IS NULL, 0
  FROM temp.done_in_both b CROSS JOIN src.metrics f ON f.cell = b.source
  JOIN temp.test_set_map t ON t.source = f.test_set_id JOIN temp.metric_map m ON m.source = f.metric_id
  JOIN main.test_sets ts ON ts.test_set_id = t.target JOIN main.metric_names n ON n.metric_id = m.target
  LEFT JOIN main.metrics k ON (k.cell, k.test_set_id, k.metric_id) = (b.target, t.target, m.target)
  WHERE (k.cell IS NULL AND n.metric NOT IN ({0})) OR (k.cell IS NOT NULL AND (k.value IS NULL) <> (f.value IS NULL))
     OR abs(k.value - f.value) > 1e-6 * max(1.0, abs(k.value), abs(f.value))
UNION ALL
SELECT b.cell_id, n.metric, ts.test_set, k.value, NULL, 0, 1
  FROM temp.done_in_both b CROSS JOIN main.metrics k ON k.cell = b.target
  JOIN main.test_sets ts ON ts.test_set_id = k.test_set_id JOIN main.metric_names n ON n.metric_id = k.metric_id
  LEFT JOIN temp.test_set_map t ON t.target = k.test_set_id LEFT JOIN temp.metric_map m ON m.target = k.metric_id
  LEFT JOIN src.metrics f ON (f.cell, f.test_set_id, f.metric_id) = (b.source, t.source, m.source)
  WHERE f.cell IS NULL AND n.metric NOT IN ({0})
ORDER BY 1, 3, 2
)";

// Metrics that cells of earlier versions lack, quoted: one side may have them alone.
std::string later_metrics() {
  std::string names;
  for (const Metric& metric : kMetrics) {
    if (metric.since > 1) names += fmt::format("{}'{}'", names.empty() ? "" : ", ", metric.name);
  }
  return names;
}

std::string copy_cells_sql() {
  std::vector<std::string> names, of_input;
  for (const CellColumn& column : kCellColumns) {
    if (column.home != Home::cells) continue;
    names.emplace_back(column.name);
    of_input.push_back(fmt::format("c.{}", column.name));
  }
  return fmt::format(kCopyCells, fmt::join(names, ", "), fmt::join(of_input, ", "));
}

std::string value_text(const SQLite::Column& value, bool absent) {
  if (absent) return "nothing";
  return value.isNull() ? "not a number" : fmt::to_string(value.getDouble());
}

// One for each cell, about the first metric that differs.
std::vector<MergeConflict> find_conflicts(SQLite::Database& db, const fs::path& input) {
  std::vector<MergeConflict> conflicts;
  SQLite::Statement statement(db, fmt::format(kFindConflicts, later_metrics()));
  while (statement.executeStep()) {
    std::string cell_id = statement.getColumn(0).getString();
    if (!conflicts.empty() && conflicts.back().cell_id == cell_id) continue;
    conflicts.push_back({input, std::move(cell_id),
                         fmt::format("{} on {}: kept {}, found {}", statement.getColumn(1).getString(),
                                     statement.getColumn(2).getString(),
                                     value_text(statement.getColumn(3), statement.getColumn(5).getInt() != 0),
                                     value_text(statement.getColumn(4), statement.getColumn(6).getInt() != 0))});
  }
  return conflicts;
}

// What the input knows of a cell that it has other numbers of is not taken: it is of another cell.
void leave_out(SQLite::Database& db, const std::vector<MergeConflict>& conflicts) {
  SQLite::Statement statement(db, "DELETE FROM temp.done_in_both WHERE cell_id = ?");
  for (const MergeConflict& conflict : conflicts) {
    statement.bind(1, conflict.cell_id);
    statement.exec();
    statement.reset();
  }
}

// Attached for as long as the object lives.
class Attachment {
 public:
  Attachment(SQLite::Database& db, const std::string& uri) : db_(db) {
    SQLite::Statement statement(db_, "ATTACH DATABASE ? AS src");
    statement.bind(1, uri);
    statement.exec();
  }
  ~Attachment() { db_.tryExec("DETACH DATABASE src"); }
  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;

 private:
  SQLite::Database& db_;
};

std::set<std::string> matrices_planned_otherwise(SQLite::Database& db) {
  SQLite::Statement statement(db, "SELECT matrix FROM temp.plans_differ");
  std::set<std::string> names;
  while (statement.executeStep()) names.insert(statement.getColumn(0).getString());
  return names;
}

// Adds to `others` the matrices of which the two have different plans.
void merge_one(SQLite::Database& db, const Store& input, MergeResult& result, std::set<std::string>& others) {
  const Attachment attachment(db, input.impl().uri);
  SQLite::Transaction transaction(db, SQLite::TransactionBehavior::IMMEDIATE);
  db.exec(kComparePlans);
  others.merge(matrices_planned_otherwise(db));
  db.exec(kShared);
  db.exec(kMapRows);
  auto conflicts = find_conflicts(db, input.impl().file);
  const auto in_both = static_cast<std::size_t>(count_of(db, "SELECT count(*) FROM temp.done_in_both"));
  leave_out(db, conflicts);
  const auto replaced = static_cast<std::size_t>(db.exec(kDropSuperseded));
  db.exec(kFindNew);
  const auto copied = static_cast<std::size_t>(db.exec(copy_cells_sql()));
  db.exec(fmt::format(kCopyParts, later_metrics()));
  db.exec(kSupersede);
  db.exec(kForgetRows);
  transaction.commit();
  result.identical += in_both - conflicts.size();
  result.replaced += replaced;
  result.added += copied - std::min(copied, replaced);
  result.conflicts.insert(result.conflicts.end(), std::make_move_iterator(conflicts.begin()),
                          std::make_move_iterator(conflicts.end()));
}

// Batches of seeds that are merged one after the other have plans that differ, and nothing that is superseded.
std::map<std::string, std::int64_t> superseded_cells(const SQLite::Database& db,
                                                     const std::set<std::string>& matrices) {
  std::map<std::string, std::int64_t> cells;
  for (const NewestPlan& plan : newest_plans(db)) {
    if (plan.superseded > 0 && matrices.count(plan.matrix) > 0) cells.emplace(plan.matrix, plan.superseded);
  }
  return cells;
}

void require_distinct(const fs::path& out, const fs::path& input) {
  std::error_code ignored;
  if (!fs::equivalent(out, input, ignored)) return;
  throw Error(fmt::format("{}: is both the output and an input; name another output file", input.string()));
}

}  // namespace

MergeResult merge_databases(const fs::path& out, const std::vector<fs::path>& inputs) {
  std::vector<Store> stores;
  for (const fs::path& input : inputs) {
    require_distinct(out, input);
    stores.push_back(Store::open_read_only(input));
  }
  Store store = Store::open(out);
  MergeResult result;
  std::set<std::string> others;
  for (const Store& input : stores) {
    const fs::path both = fmt::format("{} (merging {})", out.string(), input.impl().file.string());
    with_database_errors(both, [&] { merge_one(store.impl().db, input, result, others); });
  }
  if (!others.empty())
    with_database_errors(out, [&] { result.superseded = superseded_cells(store.impl().db, others); });
  return result;
}

}  // namespace nmlbench
