// What the charts of the report tell apart: panels, and series in them. Internal to results/report.
#pragma once

#include "results/boards/leaderboard.h"

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace nmlbench {

using Json = nlohmann::ordered_json;

// A panel is where features and labels come from: (matrix, encoder, its parameters, pre-training data, noise model, the
// noise of the task's labels, and what else tells cells apart); charts show one panel at a time. A series is one
// setting of a tuner: (tuner, its parameters).
class Axes {
 public:
  static constexpr std::size_t kPanelColumns = 5, kSeriesColumns = 2;
  static constexpr double kUnknown = -1.0;  // a noise ratio or rate that nobody knows
  // What a board for the charts is grouped by at least: panel, series, noise_ratio, fraction, the noise of labels.
  static const std::vector<std::string>& least_columns();

  // `board` is grouped by least_columns(); groups without a score get no place.
  explicit Axes(const Leaderboard& board);

  // The columns of a key in their order, for a LeaderboardQuery or a SELECT: those of the board.
  const std::vector<std::string>& columns() const { return columns_; }

  struct Place {
    std::size_t panel = 0, series = 0;
    double noise_ratio = 0.0;  // as asked for: tells levels of noise apart
    double noise_rate = 0.0;   // realised, as the board's first row of this source and level has it
    double fraction = 1.0;
  };
  // Where a row grouped by columns() (more may follow) belongs.
  std::optional<Place> place(const std::vector<std::string>& key) const;
  // Of a tuner and its parameters; of an encoder and its parameters, numbered as in "panels".
  std::optional<std::size_t> series(const std::string& tuner, const std::string& parameters) const;
  std::optional<std::size_t> encoder(const std::string& encoder, const std::string& parameters) const;
  // The largest training fraction of a panel: what charts show unless they are about fractions.
  bool is_full_fraction(const Place& place) const { return place.fraction == full_fraction_[place.panel]; }

  // Whether it is the setting of its tuner that comes first on the board, of its panel's levels with the least or most
  // noise: what is shown where there is no room for everything.
  bool is_outstanding(const Place& place) const;

  // {"panels": [{"label", "encoder", "dataset", "noise", "source", "labels", "task_noise_ratio"}], "series": [{"tuner",
  // "label", "settings", "rank", "of"}]}. "source": the same number for panels that differ in the noise of labels
  // alone, which "labels" names, "" without any. "settings": the parameters in which the settings of its tuner differ,
  // with their values; "rank": its place among these settings (0 to "of" - 1), ordered by these values.
  Json to_json() const;
  // The names of all that are in "settings".
  std::set<std::string> parameters() const;
  // The sources that were measured at several levels of noise in pre-training and of noise in the task's labels.
  std::set<std::size_t> crossed_sources() const;

 private:
  std::vector<std::string> panel_of(const std::vector<std::string>& key) const;
  std::size_t add_panel(const Leaderboard& board, const LeaderboardRow& row);
  void add_series(std::size_t panel, const LeaderboardRow& row);

  std::vector<std::string> columns_;
  std::map<std::vector<std::string>, std::size_t> panels_, series_, encoders_, sources_;
  std::vector<std::size_t> source_of_;                                  // of each panel
  std::map<std::size_t, std::map<double, double>> noise_rates_;         // of each source by noise_ratio
  std::map<std::pair<std::size_t, std::string>, std::size_t> leaders_;  // by panel and tuner
  std::vector<double> full_fraction_;                                   // of each panel
  Json panel_list_ = Json::array(), series_list_ = Json::array();
};

// "nmtune (lr=0.1)": of a row that is grouped by least_columns().
std::string setting_label(const LeaderboardRow& row);

}  // namespace nmlbench
