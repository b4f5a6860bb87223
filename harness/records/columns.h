// What is known of a cell, each column declared once: the schema's views, the writer, merging, exports, --where,
// --group-by, [[exclude]], comparisons and the pipe to worker processes go through this table. docs/DESIGN.md adds a
// column as an example.
#pragma once

#include "records/records.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

namespace nmlbench {

// json: an object of parameters, as text; boards show what differs between those of one table.
enum class ColumnType : std::uint8_t { text, integer, real, timestamp, json };

// The database's table that keeps it. A new column goes into `cells`: rows of the others are shared by many cells.
enum class Home : std::uint8_t { cells, sources, tuners, test_sets, metrics, runs, noise };

enum class Use : std::uint8_t {
  axis,  // cells are chosen and grouped by it
  name,  // like an axis, but it is one cell's own, and read only when asked for
  fact,  // it is told of a cell
};

// The views that have it. v_results has a row for each test set and metric, v_cells one for each cell.
enum class InViews : std::uint8_t { both, results, cells };

// The member of CellRecord that fills it; none for what the database or another record fills.
using CellMember = std::variant<std::monostate, std::string CellRecord::*, double CellRecord::*,
                                std::int64_t CellRecord::*, bool CellRecord::*, std::optional<double> CellRecord::*>;

struct CellColumn {
  std::string_view name;
  ColumnType type;
  Home home;
  Use use;
  bool identity;  // it tells cells apart that are meant to differ: part of what a cell is, not of how it went
  InViews views;
  CellMember member;
  std::string_view doc;
  int since = 1;  // the schema's version that brings it; one above kScriptedVersions adds itself
};

// Versions that SQL scripts of results/store bring; later ones follow from the table.
inline constexpr int kScriptedVersions = 4;

inline constexpr CellColumn kCellColumns[] = {
    {"cell_id", ColumnType::text, Home::cells, Use::name, false, InViews::both, &CellRecord::cell_id,
     "content hash of the cell's identity"},
    {"matrix", ColumnType::text, Home::cells, Use::axis, false, InViews::both, &CellRecord::matrix,
     "name of the matrix that ran it"},
    {"encoder", ColumnType::text, Home::sources, Use::axis, true, InViews::both, &CellRecord::encoder,
     "name of the encoder"},
    {"pretrain_dataset", ColumnType::text, Home::sources, Use::axis, true, InViews::both, &CellRecord::pretrain_dataset,
     "what the encoder was pre-trained on; empty without pre-training, or when it is not known"},
    {"noise", ColumnType::text, Home::sources, Use::axis, true, InViews::both, &CellRecord::noise,
     "noise model of the pre-training; empty without pre-training, or when it is not known"},
    {"noise_ratio", ColumnType::real, Home::sources, Use::axis, true, InViews::both, &CellRecord::noise_ratio,
     "share of noisy targets that was asked for; null without pre-training, or when it is not known"},
    {"task", ColumnType::text, Home::cells, Use::axis, true, InViews::both, &CellRecord::task, "name of the task"},
    {"fraction", ColumnType::real, Home::cells, Use::axis, true, InViews::both, &CellRecord::fraction,
     "share of the task's training rows"},
    {"tuner", ColumnType::text, Home::tuners, Use::axis, true, InViews::both, &CellRecord::tuner, "name of the tuner"},
    {"tuner_params", ColumnType::json, Home::tuners, Use::axis, true, InViews::both, &CellRecord::tuner_params,
     "its parameters, canonical JSON"},
    {"seed", ColumnType::integer, Home::cells, Use::axis, true, InViews::both, &CellRecord::seed,
     "seed of every random stream"},
    {"test_set", ColumnType::text, Home::test_sets, Use::axis, false, InViews::results, {}, "name of the test set"},
    {"test_kind",
     ColumnType::text,
     Home::test_sets,
     Use::axis,
     false,
     InViews::results,
     {},
     "id (in-domain) or ood (out-of-domain)"},
    {"metric", ColumnType::text, Home::metrics, Use::fact, false, InViews::results, {}, "what was measured"},
    {"value", ColumnType::real, Home::metrics, Use::fact, false, InViews::results, {}, "its value; null for NaN"},
    {"status", ColumnType::text, Home::cells, Use::fact, false, InViews::both, &CellRecord::status, "done or failed"},
    {"device", ColumnType::text, Home::cells, Use::axis, false, InViews::both, &CellRecord::device,
     "where it was tuned: cpu, cuda:0"},
    {"created_at", ColumnType::timestamp, Home::cells, Use::name, false, InViews::both, {}, "when it was written, UTC"},
    {"encoder_params", ColumnType::json, Home::sources, Use::axis, true, InViews::both, &CellRecord::encoder_params,
     "the encoder's parameters, canonical JSON"},
    {"message", ColumnType::text, Home::cells, Use::fact, false, InViews::both, &CellRecord::message, "why it failed"},
    {"tune_seconds", ColumnType::real, Home::cells, Use::fact, false, InViews::cells, &CellRecord::tune_seconds,
     "its share of its stack's time in fit()", 2},
    {"evaluate_seconds", ColumnType::real, Home::cells, Use::fact, false, InViews::cells, &CellRecord::evaluate_seconds,
     "its share of its stack's time in evaluation", 2},
    {"checkpoint_id", ColumnType::text, Home::cells, Use::fact, false, InViews::cells, &CellRecord::checkpoint_id,
     "content hash of the checkpoint"},
    {"coordinates", ColumnType::text, Home::cells, Use::fact, false, InViews::cells, &CellRecord::coordinates,
     "JSON: the identity without content digests"},
    {"run", ColumnType::text, Home::runs, Use::fact, false, InViews::cells, {}, "uuid of the run that wrote it", 2},
    {"host", ColumnType::text, Home::runs, Use::fact, false, InViews::cells, {}, "machine of that run", 2},
    {"git_revision", ColumnType::text, Home::runs, Use::fact, false, InViews::cells, {}, "nmlbench's revision then", 2},
    {"transient", ColumnType::integer, Home::cells, Use::fact, false, InViews::cells, &CellRecord::transient,
     "1: it failed for want of something of the machine's and is tried again", 4},
    {"recipe", ColumnType::json, Home::cells, Use::axis, true, InViews::both, &CellRecord::recipe,
     "how the encoder was pre-trained (optim), canonical JSON; empty without pre-training here", 5},
    {"pretrain_params", ColumnType::json, Home::cells, Use::axis, true, InViews::both, &CellRecord::pretrain_params,
     "parameters of what the encoder was pre-trained on, JSON with the names of its files; empty likewise", 5},
    {"task_params", ColumnType::json, Home::cells, Use::axis, true, InViews::both, &CellRecord::task_params,
     "parameters of the task's data and views, JSON with the names of its files", 5},
    {"protocol", ColumnType::json, Home::cells, Use::axis, true, InViews::both, &CellRecord::protocol,
     "precision of encoding, and what spectra are of, JSON", 5},
    {"superseded", ColumnType::integer, Home::cells, Use::fact, false, InViews::both, &CellRecord::superseded,
     "1: the newest plan of its matrix does not have it any more; boards leave it out", 5},
    {"realised_rate",
     ColumnType::real,
     Home::noise,
     Use::axis,
     false,
     InViews::both,
     {},
     "share of noisy targets that came out, or that is stated; null where it is not known",
     5},
    {"provenance",
     ColumnType::text,
     Home::noise,
     Use::axis,
     false,
     InViews::both,
     {},
     "who knows of the noise: here (the encoder was pre-trained here) or stated; empty when it is not known",
     5},
    {"upstream_accuracy",
     ColumnType::real,
     Home::noise,
     Use::fact,
     false,
     InViews::both,
     {},
     "top-1 accuracy of the encoder's own head on clean labels of its pre-training task (`validation`); null where it "
     "was not measured",
     7},
    {"selection", ColumnType::json, Home::cells, Use::axis, true, InViews::both, &CellRecord::selection,
     "by which rule its tuner's parameters were chosen from a grid, JSON; empty when nothing was chosen", 8},
    {"task_noise_ratio", ColumnType::real, Home::cells, Use::axis, true, InViews::both, &CellRecord::task_noise_ratio,
     "share of noisy training labels of the task that was asked for; 0 without noise", 8},
    {"task_noise", ColumnType::text, Home::cells, Use::axis, true, InViews::both, &CellRecord::task_noise,
     "noise model of the task's training labels; empty without one", 8},
    {"task_realised_rate", ColumnType::real, Home::cells, Use::axis, false, InViews::both,
     &CellRecord::task_realised_rate, "share of the rows trained on whose label that noise changed; null without it",
     8},
};

constexpr bool is_numeric(const CellColumn& column) {
  return column.type == ColumnType::integer || column.type == ColumnType::real;
}

// Null for a name that is not declared.
constexpr const CellColumn* find_column(std::string_view name) {
  for (const CellColumn& column : kCellColumns) {
    if (column.name == name) return &column;
  }
  return nullptr;
}

// Calls visit(value) with the member of `cell` (a CellRecord, const or not) that fills the column, if there is one.
template <typename Record, typename Visit>
void visit_member(const CellColumn& column, Record& cell, const Visit& visit) {
  std::visit(
      [&](const auto& member) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(member)>, std::monostate>) visit(cell.*member);
      },
      column.member);
}

}  // namespace nmlbench
