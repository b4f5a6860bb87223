// Singular value spectra, averaged where they are read: the page gets a few points of each curve.
#include "results/report/figures.h"
#include "results/store/database.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <tuple>

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

// Points of all curves together: keeps the page small whatever the database holds.
constexpr std::size_t kPointBudget = 120'000;

struct MeanSpectrum {
  std::vector<double> sum;  // of normalised singular values
  std::size_t count = 0;

  void add(const float* values, std::size_t size) {
    double total = 0.0;
    for (std::size_t i = 0; i < size; ++i) total += values[i];
    if (!(total > 0.0)) return;
    // Test sets of different sizes have spectra of different lengths: what all of them have is averaged.
    sum.resize(count == 0 ? size : std::min(size, sum.size()));
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += values[i] / total;
    ++count;
  }
};

struct CurveKey {
  std::size_t panel = 0;
  std::optional<std::size_t> series;  // none: the encoder's own features
  std::string task, kind;
  double noise_rate = 0.0, noise_ratio = 0.0;

  bool operator<(const CurveKey& other) const {
    const auto tie = [](const CurveKey& k) {
      return std::tie(k.panel, k.series, k.task, k.kind, k.noise_rate, k.noise_ratio);
    };
    return tie(*this) < tie(other);
  }
};

std::vector<float> floats(const SQLite::Column& blob) {
  std::vector<float> values(static_cast<std::size_t>(blob.getBytes()) / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), blob.getBlob(), values.size() * sizeof(float));
  return values;
}

// Cells of one checkpoint and readout (one source) have the same raw features: one of them speaks for all.
std::map<CurveKey, MeanSpectrum> mean_spectra(const Store& store, const Axes& axes) {
  const auto keys = static_cast<int>(axes.columns().size());
  SQLite::Statement statement(
      store.impl().db,
      fmt::format("SELECT v.{}", fmt::join(axes.columns(), ", v.")) +
          ", c.task, ts.test_kind, sp.space, sp.singular_values"
          " FROM spectra sp JOIN cells c USING (cell) JOIN v_cells v USING (cell_id)"
          " JOIN test_sets ts ON ts.task = c.task AND ts.test_set = sp.test_set"
          " WHERE c.status = 'done' AND NOT c.superseded AND sp.center = (SELECT min(center) FROM spectra) AND "
          "(sp.space = 'tuned' OR c.cell IN"
          " (SELECT min(cell) FROM cells WHERE status = 'done' GROUP BY matrix, source_id, checkpoint_id, task, "
          "fraction, seed))");
  std::map<CurveKey, MeanSpectrum> curves;
  while (statement.executeStep()) {
    std::vector<std::string> key;
    for (int i = 0; i < keys; ++i) key.push_back(statement.getColumn(i).getString());
    const auto place = axes.place(key);
    if (!place || !axes.is_full_fraction(*place)) continue;
    const bool tuned = statement.getColumn(keys + 2).getString() == "tuned";
    const auto values = floats(statement.getColumn(keys + 3));
    curves[{place->panel, tuned ? std::optional(place->series) : std::nullopt, statement.getColumn(keys).getString(),
            statement.getColumn(keys + 1).getString(), place->noise_rate, place->noise_ratio}]
        .add(values.data(), values.size());
  }
  return curves;
}

// 1-based positions, evenly spread on a logarithmic axis.
std::vector<std::size_t> spread(std::size_t length, std::size_t points) {
  std::vector<std::size_t> index;
  for (std::size_t i = 0; i < points && length > 0; ++i) {
    const double share = points > 1 ? static_cast<double>(i) / static_cast<double>(points - 1) : 0.0;
    const auto at = static_cast<std::size_t>(std::lround(std::pow(static_cast<double>(length), share)));
    if (index.empty() || at > index.back()) index.push_back(at);
  }
  return index;
}

}  // namespace

Json spectrum_figure(const Store& store, const Axes& axes) {
  const auto curves = mean_spectra(store, axes);
  const std::size_t points = std::clamp<std::size_t>(kPointBudget / std::max<std::size_t>(1, curves.size()), 12, 48);
  std::map<std::vector<std::size_t>, std::size_t> numbers;
  Json indices = Json::array(), rows = Json::array();
  for (const auto& [key, curve] : curves) {
    if (curve.count == 0) continue;
    const std::vector<std::size_t> index = spread(curve.sum.size(), points);
    const auto [number, added] = numbers.try_emplace(index, numbers.size());
    if (added) indices.push_back(index);
    Json values = Json::array();
    const double rounding = std::numeric_limits<float>::epsilon() * curve.sum.front();
    for (const std::size_t at : index) {
      const double sum = curve.sum[at - 1];
      values.push_back(sum < rounding ? Json(nullptr) : rounded(sum / static_cast<double>(curve.count), 3));
    }
    rows.push_back({key.panel, key.series ? Json(*key.series) : Json(nullptr), key.task, key.kind, key.noise_rate,
                    number->second, std::move(values), curve.count});
  }
  return {{"indices", indices}, {"rows", rows}};
}

}  // namespace nmlbench
