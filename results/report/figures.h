// What the charts of the report show, as JSON. Averages, intervals and differences are the leaderboard's; the browser
// only draws. Internal to results/report.
//
// Percentages are in percent, every other number is plain; numbers are rounded to what a chart can show.
#pragma once

#include "results/boards/leaderboard.h"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace nmlbench {

using Json = nlohmann::ordered_json;

// What is told apart on every chart. A panel is where features come from: (matrix, encoder, its parameters,
// pre-training data, noise model, and what else tells cells apart); charts show one panel at a time. A series is a
// line: (tuner, its parameters).
class Axes {
 public:
  static constexpr std::size_t kPanelColumns = 5, kSeriesColumns = 2;
  static constexpr double kUnknownRatio = -1.0;
  // What a board for the charts is grouped by at least: panel, series, noise_ratio, fraction.
  static const std::vector<std::string>& least_columns();

  // `board` is grouped by least_columns(); groups without a score get no place.
  explicit Axes(const Leaderboard& board);

  // The columns of a key in their order, for a LeaderboardQuery or a SELECT: those of the board.
  const std::vector<std::string>& columns() const { return columns_; }

  struct Place {
    std::size_t panel = 0, series = 0;
    double noise_ratio = 0.0, fraction = 1.0;  // kUnknownRatio where it is not known
  };
  // Where a row grouped by columns() (more may follow) belongs.
  std::optional<Place> place(const std::vector<std::string>& key) const;
  // Of a tuner and its parameters; of an encoder and its parameters, numbered as in "panels".
  std::optional<std::size_t> series(const std::string& tuner, const std::string& parameters) const;
  std::optional<std::size_t> encoder(const std::string& encoder, const std::string& parameters) const;
  // The largest training fraction of a panel: what charts show unless they are about fractions.
  bool is_full_fraction(const Place& place) const { return place.fraction == full_fraction_[place.panel]; }

  // {"panels": [{"label", "encoder", "dataset", "noise"}], "series": [{"tuner", "label"}]}
  Json to_json() const;

 private:
  std::vector<std::string> panel_of(const std::vector<std::string>& key) const;

  std::vector<std::string> columns_;
  std::map<std::vector<std::string>, std::size_t> panels_, series_, encoders_;
  std::vector<double> full_fraction_;  // of each panel
  Json panel_list_ = Json::array(), series_list_ = Json::array();
};

// Everything that the page draws; a figure without data has no rows. Throws Error as query_leaderboard() does.
Json figures(const Store& store);

// ---- Parts of figures(), one file each.

// What accuracy costs, mean over everything that a tuner was measured on, of tuners whose time is known:
// {"rows": [[encoder, device, kind, series, seconds per cell, accuracy, half width, 1 on the Pareto front]]}
Json cost_figure(const Store& store, const Axes& axes);
// Mean singular value spectra, each divided by its sum, at some positions (1-based) that many curves share:
// {"indices": [[...]], "rows": [[panel, series (null: the encoder's own features), task, kind, noise ratio, which of
// the indices, [values]]]}
Json spectrum_figure(const Store& store, const Axes& axes);
// What noise models did, mean over checkpoints; matrices of more than 50 classes are coarsened:
// [{"dataset", "noise", "noise_ratio", "realised", "checkpoints", "classes", "block", "rows": [[...]]}]
Json transition_figure(const Store& store);

// `value` rounded to `digits` significant digits; null for what is not finite.
Json rounded(double value, int digits = 4);

}  // namespace nmlbench
