#include "cache/artifacts.h"
#include "cli/cli.h"
#include "cli/provenance.h"
#include "cli/recorded_matrix.h"
#include "cli/session.h"
#include "engine/executor.h"
#include "records/metrics.h"
#include "results/query/recorded.h"
#include "results/store/store.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>
#include <set>
#include <system_error>

#include <boost/math/distributions/beta.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

namespace nmlbench::cli {
namespace {

namespace fs = std::filesystem;

enum class From { tune, encode, pretrain };

struct VerifyOptions {
  fs::path db = "nmlbench.sqlite";
  MatrixOptions how;  // device and isolation; `matrix` and `set` in place of what the database recorded
  std::size_t cells = 10;
  std::optional<std::uint32_t> seed;
  From from = From::tune;
  double tolerance = 1e-6;
};

// Gone with the object.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (fs::temp_directory_path() / "nmlbench-verify-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), name);
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

class Collector : public ResultSink {
 public:
  void cells(const std::vector<CellRecord>& cells) override {
    records.insert(records.end(), cells.begin(), cells.end());
  }
  void stage(const StageRecord&) override {}
  void noise(const NoiseRecord&) override {}

  std::vector<CellRecord> records;
};

// Without replacement; `cells` is in an order of its own, so that a seed draws the same cells again.
std::vector<RecordedCell> drawn(std::vector<RecordedCell> cells, std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  count = std::min(count, cells.size());
  for (std::size_t i = 0; i < count; ++i) {
    std::swap(cells[i], cells[i + random() % (cells.size() - i)]);
  }
  cells.resize(count);
  return cells;
}

// ---- The matrix that the cells were run from

void require_planned(const Plan& plan, const std::vector<RecordedCell>& cells, const RecordedRun& run) {
  std::set<std::string> planned;
  for (const Cell& cell : plan.cells) {
    planned.insert(cell.id);
    const bool wanted = std::any_of(cells.begin(), cells.end(), [&](const auto& c) { return c.cell_id == cell.id; });
    if (wanted && !plan.obstacle(cell).empty()) throw DataError(plan.obstacle(cell));
  }
  const auto missing =
      std::find_if(cells.begin(), cells.end(), [&](const auto& cell) { return planned.count(cell.cell_id) == 0; });
  if (missing == cells.end()) return;
  const std::string data = changed_data(plan, run);
  throw Error(fmt::format("cell {} cannot be computed again: {}", missing->cell_id,
                          data.empty() ? "its matrix gives it another identity now, since a plugin's revision or this "
                                         "nmlbench is another one"
                                       : data));
}

PlannedMatrix plan_again(const Globals& globals, const VerifyOptions& options, const RecordedMatrix& recorded,
                         const std::vector<RecordedCell>& cells, const RecordedRun& run) {
  try {
    PlannedMatrix planned = plan_recorded(globals, options.how, recorded);
    require_planned(planned.plan, cells, run);
    for (const RecordedCell& cell : cells) planned.recipe.cells.push_back(cell.cell_id);
    keep_cells(planned.plan, planned.recipe.cells);
    return planned;
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    const std::string dirs =
        recorded.plugin_dirs.empty() ? "" : fmt::format(" (the run had --plugin-dir {})", recorded.plugin_dirs);
    throw Error(
        fmt::format("{}{}; where files or plugins have moved, name the matrix anew with --matrix FILE, plugins "
                    "with --plugin-dir",
                    error.what(), dirs));
  }
}

// ---- Computing again

// The scratch cache sees the checkpoints that are there, and nothing else.
void link_checkpoints(const Plan& plan, const ArtifactCache& known, const fs::path& scratch) {
  for (const Checkpoint& checkpoint : plan.checkpoints) {
    const std::optional<Artifact> artifact = known.find(ArtifactKind::checkpoint, checkpoint.id);
    if (!artifact) continue;
    const fs::path place = scratch / fs::relative(artifact->folder, known.root());
    fs::create_directories(place.parent_path());
    fs::create_directory_symlink(fs::absolute(artifact->folder), place);
  }
}

std::vector<CellRecord> compute_again(const Globals& globals, const VerifyOptions& options,
                                      const PlannedMatrix& planned) {
  std::optional<ScratchFolder> scratch;
  Globals own = globals;
  if (options.from != From::tune) {
    scratch.emplace();
    own.cache_dir = scratch->path();
  }
  ArtifactCache cache(cache_root(own));
  if (options.from == From::encode) link_checkpoints(planned.plan, ArtifactCache(cache_root(globals)), cache.root());
  ExecutorOptions engine;
  static_cast<EngineOptions&>(engine) = engine_options(own, options.how, planned);
  engine.reuse_choices = false;
  Collector collector;
  NoProgress progress;
  execute(planned.plan, engine, cache, collector, progress);
  return std::move(collector.records);
}

// ---- Comparing

std::string value_text(const std::optional<double>& value) {
  return value ? fmt::to_string(*value) : "not a number";
}

class Verdict {
 public:
  explicit Verdict(double tolerance) : tolerance_(tolerance) {}

  void compare(const Store& store, const CellRecord& cell) {
    ++cells_;
    const std::size_t before = differences_.size();
    if (cell.status != "done") {
      add(cell, fmt::format("recorded as done, failed now: {}", cell.message));
    } else {
      compare_metrics(store, cell);
      compare_candidates(recorded_candidates(store, cell.cell_id), cell);
    }
    false_cells_ += differences_.size() > before ? 1 : 0;
  }

  // Upper 95 % bound on the share of cells with a false row (Clopper & Pearson 1934).
  double bound() const {
    if (false_cells_ == cells_) return 1.0;
    const auto k = static_cast<double>(false_cells_), n = static_cast<double>(cells_);
    return boost::math::quantile(boost::math::beta_distribution<>(k + 1.0, n - k), 0.95);
  }

  std::string text(std::size_t all_cells) const {
    std::string text;
    for (const std::string& difference : differences_) text += difference + "\n";
    text += fmt::format("{} cells with {} rows computed again: {}.\n", cells_, rows_,
                        differences_.empty()
                            ? fmt::format("all agree within {:g} of the larger (or of 1)", tolerance_)
                            : fmt::format("{} rows of {} cells differ by more than {:g} of the larger (or of 1)",
                                          differences_.size(), false_cells_, tolerance_));
    if (cells_ == all_cells) return text + fmt::format("These are all cells: {} have false rows.\n", false_cells_);
    return text + fmt::format(
                      "Cells with a false row: at most {:.1f} % of {} (upper 95 % bound, Clopper-Pearson, {} of "
                      "{} drawn).\n",
                      100.0 * bound(), all_cells, false_cells_, cells_);
  }
  bool agrees() const { return differences_.empty(); }

 private:
  void add(const CellRecord& cell, const std::string& what) {
    differences_.push_back(fmt::format("differs: cell {}, {}", cell.cell_id, what));
  }

  bool same(const std::optional<double>& a, const std::optional<double>& b) const {
    if (!a || !b) return a.has_value() == b.has_value();
    return std::abs(*a - *b) <= tolerance_ * std::max({1.0, std::abs(*a), std::abs(*b)}) || *a == *b;
  }

  void compare_metrics(const Store& store, const CellRecord& cell) {
    auto recorded = recorded_metrics(store, cell.cell_id);
    for (const MetricRow& row : cell.metrics) {
      const auto found = recorded.find({row.test_set, row.metric});
      const std::optional<double> now = std::isnan(row.value) ? std::nullopt : std::optional(row.value);
      ++rows_;
      if (found == recorded.end()) {
        if (find_metric(row.metric)->since > 1) continue;  // of a cell of an earlier version
        add(cell, fmt::format("{} on {}: not recorded, computed {}", row.metric, row.test_set, value_text(now)));
        continue;
      }
      if (!same(found->second, now)) {
        add(cell, fmt::format("{} on {}: recorded {}, computed {}", row.metric, row.test_set, value_text(found->second),
                              value_text(now)));
      }
      recorded.erase(found);
    }
    for (const auto& [key, value] : recorded) {
      ++rows_;
      add(cell, fmt::format("{} on {}: recorded {}, not computed", key.second, key.first, value_text(value)));
    }
    for (const PredictionRow& row : cell.predictions) {
      const std::optional<std::int64_t> differing = differing_predictions(store, cell.cell_id, row);
      if (!differing) continue;
      ++rows_;
      if (*differing > 0) {
        add(cell, fmt::format("predictions on {}: {} of {} samples", row.test_set, *differing, row.samples));
      }
    }
  }

  void compare_candidates(const std::vector<CandidateRow>& recorded, const CellRecord& cell) {
    rows_ += cell.candidates.size();
    if (recorded.size() != cell.candidates.size()) {
      add(cell, fmt::format("{} candidates recorded, {} computed", recorded.size(), cell.candidates.size()));
      return;
    }
    const auto outcome = [](const CandidateRow& row) { return row.status + (row.chosen ? ", chosen" : ""); };
    for (std::size_t i = 0; i < recorded.size(); ++i) {
      const CandidateRow &then = recorded[i], &now = cell.candidates[i];
      const std::string name = fmt::format("candidate {} {}", now.candidate, now.params);
      if (outcome(then) != outcome(now)) {
        add(cell, fmt::format("{}: recorded {}, computed {}", name, outcome(then), outcome(now)));
      }
      for (const auto& [metric, member] :
           {std::pair{"accuracy", &CandidateRow::accuracy}, std::pair{"loss", &CandidateRow::loss}}) {
        if (same(then.*member, now.*member)) continue;
        add(cell, fmt::format("{} of {}: recorded {}, computed {}", metric, name, value_text(then.*member),
                              value_text(now.*member)));
      }
    }
  }

  double tolerance_;
  std::size_t cells_ = 0, rows_ = 0, false_cells_ = 0;
  std::vector<std::string> differences_;
};

std::string what_is_computed(From from, const Globals& globals) {
  switch (from) {
    case From::tune:
      return fmt::format(
          "tuning and evaluation; features, and weights behind them, are those of the cache {} where it "
          "has them (--from encode, --from pretrain)",
          cache_root(globals).string());
    case From::encode:
      return "encoding, tuning and evaluation; pre-trained weights are those of the cache where it has them";
    case From::pretrain:
      break;
  }
  return "everything: pre-training, encoding, tuning and evaluation";
}

void say_what_rounds_otherwise(const RecordedRun& run) {
  const auto differs = [](const char* what, const std::string& then, const std::string& now) {
    if (then.empty() || then == now) return;
    fmt::print("Recorded with {} {}, here it is {}: numbers may round otherwise (docs/PROTOCOL.md).\n", what, then,
               now.empty() ? "none" : now);
  };
  differs("processor", run.cpu, cpu_name());
  differs("accelerator", run.gpu, gpu_name());
  differs("LibTorch", run.libtorch, libtorch_version());
}

int verify(const Globals& globals, VerifyOptions options) {
  const Store store = Store::open_read_only(options.db);
  const std::vector<RecordedCell> all = recorded_cells(store);
  if (all.empty()) throw Error(fmt::format("{}: holds no finished cells", options.db.string()));
  const std::uint32_t seed = options.seed.value_or(std::random_device()());
  std::optional<MatrixSource> named;
  if (!options.how.matrix.empty()) named = read_source(find_matrix(options.how.matrix), options.how.set);
  if (!named && !options.how.set.empty()) throw Error("--set goes with --matrix; recorded matrices have theirs");

  const Globals own = with_absolute_paths(globals);
  const std::vector<RecordedCell> cells = drawn(all, options.cells, seed);
  fmt::print("{}: {} of {} cells, drawn by --seed {}\nComputed again: {}.\n", options.db.string(), cells.size(),
             all.size(), seed, what_is_computed(options.from, own));
  std::fflush(stdout);

  struct Batch {  // of one matrix
    RecordedMatrix recorded;
    RecordedRun run;
    std::vector<RecordedCell> cells;
  };
  std::map<std::string, Batch> batches;
  for (const RecordedCell& cell : cells) {
    const RecordedRun run = recorded_run(store, cell.run);
    Batch& batch = batches[named ? "" : run.matrix_source];
    if (batch.cells.empty()) {
      batch.recorded = named ? RecordedMatrix{*named, "", ""} : recorded_matrix(run, "cell " + cell.cell_id);
      batch.run = run;
    }
    batch.cells.push_back(cell);
  }
  Verdict verdict(options.tolerance);
  for (const auto& [source, batch] : batches) {
    const PlannedMatrix planned = plan_again(own, options, batch.recorded, batch.cells, batch.run);
    say_what_rounds_otherwise(batch.run);
    for (const CellRecord& cell : compute_again(own, options, planned)) verdict.compare(store, cell);
  }
  fmt::print("{}", verdict.text(all.size()));
  return verdict.agrees() ? kDone : kRowsDiffer;
}

}  // namespace

void add_verify(CLI::App& app, Globals& globals, Action& action) {
  auto* verb = app.add_subcommand("verify", "Compute some cells of a database again, and name the rows that differ");
  auto options = std::make_shared<VerifyOptions>();
  options->how.matrix.clear();
  const std::map<std::string, From> stages = {
      {"tune", From::tune}, {"encode", From::encode}, {"pretrain", From::pretrain}};
  verb->add_option("db", options->db, "Results database")->envname("NMLBENCH_DB")->capture_default_str();
  verb->add_option("--cells", options->cells, "How many, drawn at random")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  verb->add_option("--seed", options->seed, "Draws the same cells again; default: another one each time, printed");
  verb->add_option(
          "--from", options->from,
          "The first stage that is computed again, with all behind it: tune, encode or pretrain; what is before "
          "it comes from the cache where it is there")
      ->transform(CLI::Transformer(stages, CLI::ignore_case).description("tune|encode|pretrain"))
      ->default_str("tune");
  verb->add_option("--tolerance", options->tolerance, "Two numbers agree up to this share of the larger (or of 1)")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb->add_option("--matrix", options->how.matrix, "The matrix file, in place of the recorded one");
  verb->add_option("--set", options->how.set, "With --matrix: KEY=VALUE (repeatable)")->allow_extra_args(false);
  add_device_option(*verb, options->how.device);
  add_isolation_options(*verb, options->how.isolation);
  verb->callback([&globals, &action, options] { action = [&globals, options] { return verify(globals, *options); }; });
}

}  // namespace nmlbench::cli
