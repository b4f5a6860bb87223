#include "results/report/axes.h"

#include "records/setting_labels.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

constexpr std::size_t kNoiseRatio = Axes::kPanelColumns + Axes::kSeriesColumns, kFraction = kNoiseRatio + 1,
                      kTaskNoise = kFraction + 1, kTaskNoiseRatio = kTaskNoise + 1, kMore = kTaskNoiseRatio + 1;

// "symmetric 0.2"; "" where the labels are the data's own.
std::string task_noise_label(const std::vector<std::string>& key) {
  return key[kTaskNoise].empty() ? "" : fmt::format("{} {}", key[kTaskNoise], key[kTaskNoiseRatio]);
}

// "resnet-tiny (width=32), procedural, symmetric noise, labels symmetric 0.2"
std::string panel_label(const std::vector<std::string>& labels, bool with_matrix) {
  std::vector<std::string> parts;
  if (with_matrix) parts.push_back(labels[0]);
  parts.push_back(with_setting(labels[1], labels[2]));
  if (!labels[3].empty()) parts.push_back(labels[3]);
  if (!labels[4].empty()) parts.push_back(labels[4] + " noise");
  if (!labels[kTaskNoise].empty()) parts.push_back("labels " + task_noise_label(labels));
  std::copy_if(labels.begin() + kMore, labels.end(), std::back_inserter(parts),
               [](const std::string& label) { return !label.empty(); });
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::vector<std::string> part(const std::vector<std::string>& key, std::size_t begin, std::size_t count) {
  const auto from = key.begin() + static_cast<std::ptrdiff_t>(begin);
  return {from, from + static_cast<std::ptrdiff_t>(count)};
}

std::optional<std::size_t> found(const std::map<std::vector<std::string>, std::size_t>& numbers,
                                 const std::vector<std::string>& key) {
  const auto entry = numbers.find(key);
  return entry == numbers.end() ? std::nullopt : std::optional(entry->second);
}

double ratio_of(const std::vector<std::string>& key) {
  return key[kNoiseRatio].empty() ? Axes::kUnknown : std::stod(key[kNoiseRatio]);
}

// The parameters in which these series, objects with "settings", differ.
std::set<std::string> varying_parameters(const std::vector<Json*>& series) {
  std::map<std::string, std::set<Json>> values;
  for (const Json* each : series) {
    for (const auto& [name, value] : (*each)["settings"].items()) values[name].insert(value);
  }
  std::set<std::string> names;
  for (const auto& [name, distinct] : values) {
    const auto lacks = [&name = name](const Json* each) { return !(*each)["settings"].contains(name); };
    if (distinct.size() > 1 || std::any_of(series.begin(), series.end(), lacks)) names.insert(name);
  }
  return names;
}

// Leaves in "settings" what differs between the settings of a tuner, and numbers these by their values.
void rank_settings(Json& all_series) {
  std::map<std::string, std::vector<Json*>> tuners;
  for (Json& series : all_series) {
    if (!series["settings"].is_object()) series["settings"] = Json::object();
    tuners[series["tuner"].get<std::string>()].push_back(&series);
  }
  for (auto& [tuner, series] : tuners) {
    const std::set<std::string> varying = varying_parameters(series);
    std::vector<std::pair<std::vector<Json>, Json*>> ordered;
    for (Json* each : series) {
      Json settings = Json::object();
      std::vector<Json> values;
      for (const std::string& name : varying) {
        values.push_back((*each)["settings"].value(name, Json()));
        settings[name] = values.back();
      }
      (*each)["settings"] = std::move(settings);
      ordered.emplace_back(std::move(values), each);
    }
    std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (std::size_t i = 0; i < ordered.size(); ++i) {
      (*ordered[i].second)["rank"] = i;
      (*ordered[i].second)["of"] = ordered.size();
    }
  }
}

}  // namespace

std::string setting_label(const LeaderboardRow& row) {
  return with_setting(row.key[Axes::kPanelColumns].label, row.key[Axes::kPanelColumns + 1].label);
}

const std::vector<std::string>& Axes::least_columns() {
  static const std::vector<std::string> names{"matrix",   "encoder",    "encoder_params",  "pretrain_dataset",
                                              "noise",    "tuner",      "tuner_params",    "noise_ratio",
                                              "fraction", "task_noise", "task_noise_ratio"};
  return names;
}

std::vector<std::string> Axes::panel_of(const std::vector<std::string>& key) const {
  std::vector<std::string> panel = part(key, 0, kPanelColumns);
  std::vector<std::string> more = part(key, kTaskNoise, columns_.size() - kTaskNoise);
  more[1] = fmt::format("{}", std::stod(more[1]));  // the ratio: SQL writes 0.0 where boards write 0
  panel.insert(panel.end(), more.begin(), more.end());
  return panel;
}

Axes::Axes(const Leaderboard& board) : columns_(board.group_by) {
  for (const LeaderboardRow& row : board.rows) {
    if (!row.id && !row.ood) continue;
    add_series(add_panel(board, row), row);
  }
  rank_settings(series_list_);
}

std::size_t Axes::add_panel(const Leaderboard& board, const LeaderboardRow& row) {
  const std::vector<std::string> key = texts(row.key);
  const auto [panel, is_new] = panels_.try_emplace(panel_of(key), panels_.size());
  const double fraction = row.key[kFraction].number.value_or(1.0);
  if (is_new) {
    full_fraction_.push_back(fraction);
    const auto encoder = encoders_.try_emplace({key[1], key[2]}, encoders_.size()).first;
    std::vector<std::string> source = panel->first;
    source.erase(source.begin() + kPanelColumns, source.begin() + kPanelColumns + 2);  // the noise of labels
    source_of_.push_back(sources_.try_emplace(std::move(source), sources_.size()).first->second);
    panel_list_.push_back({{"label", panel_label(labels(row.key), board.matrices.size() > 1)},
                           {"encoder", encoder->second},
                           {"dataset", key[3]},
                           {"noise", key[4]},
                           {"source", source_of_.back()},
                           {"labels", task_noise_label(key)},
                           {"task_noise_ratio", row.key[kTaskNoiseRatio].number.value_or(0.0)}});
  }
  full_fraction_[panel->second] = std::max(full_fraction_[panel->second], fraction);
  noise_rates_[source_of_[panel->second]].try_emplace(ratio_of(key), row.noise_rate.value_or(kUnknown));
  return panel->second;
}

void Axes::add_series(std::size_t panel, const LeaderboardRow& row) {
  const std::vector<std::string> key = texts(row.key);
  const auto [series, is_new] = series_.try_emplace(part(key, kPanelColumns, kSeriesColumns), series_.size());
  leaders_.try_emplace({panel, key[kPanelColumns]}, series->second);
  if (!is_new) return;
  series_list_.push_back({{"tuner", key[kPanelColumns]},
                          {"label", setting_label(row)},
                          {"settings", Json::parse(key[kPanelColumns + 1], nullptr, false)}});
}

std::optional<Axes::Place> Axes::place(const std::vector<std::string>& key) const {
  const auto panel = found(panels_, panel_of(key));
  const auto series = found(series_, part(key, kPanelColumns, kSeriesColumns));
  if (!panel || !series) return std::nullopt;
  const auto& rates = noise_rates_.at(source_of_[*panel]);
  const auto rate = rates.find(ratio_of(key));
  if (rate == rates.end()) return std::nullopt;
  return Place{*panel, *series, rate->first, rate->second, std::stod(key[kFraction])};
}

bool Axes::is_outstanding(const Place& place) const {
  const auto leads = [&](const auto& leader) {
    return leader.first.first == place.panel && leader.second == place.series;
  };
  if (std::none_of(leaders_.begin(), leaders_.end(), leads)) return false;
  const auto& rates = noise_rates_.at(source_of_[place.panel]);
  const auto less = [](const auto& a, const auto& b) { return a.second < b.second; };
  const auto [least, most] = std::minmax_element(rates.begin(), rates.end(), less);
  return place.noise_ratio == least->first || place.noise_ratio == most->first;
}

std::optional<std::size_t> Axes::series(const std::string& tuner, const std::string& parameters) const {
  return found(series_, {tuner, parameters});
}

std::optional<std::size_t> Axes::encoder(const std::string& encoder, const std::string& parameters) const {
  return found(encoders_, {encoder, parameters});
}

std::set<std::string> Axes::parameters() const {
  std::set<std::string> names;
  for (const Json& series : series_list_) {
    for (const auto& [name, value] : series["settings"].items()) names.insert(name);
  }
  return names;
}

std::set<std::size_t> Axes::crossed_sources() const {
  std::set<std::size_t> crossed;
  for (const auto& [source, rates] : noise_rates_) {
    if (rates.size() > 1 && std::count(source_of_.begin(), source_of_.end(), source) > 1) crossed.insert(source);
  }
  return crossed;
}

Json Axes::to_json() const {
  return {{"panels", panel_list_}, {"series", series_list_}};
}

}  // namespace nmlbench
