// What is measured on a test set, each metric declared once: whoever prints, ranks or explains one reads it here.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

namespace nmlbench {

enum class Better : std::uint8_t {
  higher,
  lower,
  neither,  // a description: nothing is ranked by it
};

enum class Measured : std::uint8_t {
  everywhere,
  where_asked,  // on test sets that name it (SplitInfo::metrics)
};

struct Metric {
  std::string_view name;
  Better better;
  bool percent;  // a share in [0, 1], printed for people in percent
  std::string_view doc;
  Measured measured = Measured::everywhere;
  int since = 1;  // the schema's version that brought it: cells of earlier ones have none
};

// Formulas: docs/PROTOCOL.md.
inline constexpr Metric kMetrics[] = {
    {"accuracy", Better::higher, true, "share of the test set's samples whose class is predicted"},
    {"loss", Better::lower, false, "mean cross-entropy, in nats"},
    {"ece", Better::lower, false, "expected calibration error, 15 bins of equal width"},
    {"sve", Better::neither, false, "singular value entropy of the tuned features"},
    {"lsvr", Better::neither, false, "largest singular value ratio of the tuned features, - log of the share"},
    {"sve_raw", Better::neither, false, "singular value entropy of the encoder's features"},
    {"lsvr_raw", Better::neither, false, "largest singular value ratio of the encoder's features"},
    {"matthews", Better::higher, false, "Matthews correlation of labels and predictions", Measured::where_asked},
    {"f1", Better::higher, true, "F1 of class 1 of two", Measured::where_asked},
    {"pearson", Better::higher, false, "Pearson correlation of people's scores and the expected score",
     Measured::where_asked},
    {"spearman", Better::higher, false, "Spearman correlation of people's scores and the expected score",
     Measured::where_asked},
    {"balanced_accuracy", Better::higher, true, "mean over the classes of the share of their samples that is right",
     Measured::everywhere, 8},
    {"alpha_raw", Better::neither, false, "exponent by which the eigenvalues of the encoder's features decay",
     Measured::everywhere, 8},
    {"effective_rank_raw", Better::neither, false, "effective rank of the encoder's features", Measured::everywhere, 8},
    {"skewness_raw", Better::neither, false, "skewness of the encoder's features, mean over them", Measured::everywhere,
     8},
    {"kurtosis_raw", Better::neither, false, "excess kurtosis of the encoder's features, mean over them",
     Measured::everywhere, 8},
};

// Null for a name that is not declared: a database of another version may hold others.
constexpr const Metric* find_metric(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kMetrics), std::end(kMetrics), [&](const Metric& m) { return m.name == name; });
  return found == std::end(kMetrics) ? nullptr : found;
}

constexpr Better better(std::string_view metric) {
  const Metric* known = find_metric(metric);
  return known == nullptr ? Better::neither : known->better;
}

constexpr bool is_measured_where_asked(std::string_view metric) {
  const Metric* known = find_metric(metric);
  return known != nullptr && known->measured == Measured::where_asked;
}

constexpr bool is_percentage(std::string_view metric) {
  const Metric* known = find_metric(metric);
  return known != nullptr && known->percent;
}

// "accuracy in %, higher is better", for titles.
inline std::string described(const std::string& metric) {
  static constexpr std::string_view kDirections[] = {"higher is better", "lower is better",
                                                     "neither high nor low is better"};
  return metric + (is_percentage(metric) ? " in %, " : ", ") +
         std::string(kDirections[static_cast<std::size_t>(better(metric))]);
}

// "accuracy, loss, ...", for help and errors.
inline std::string metric_names() {
  std::string names;
  for (const Metric& metric : kMetrics) names += (names.empty() ? "" : ", ") + std::string(metric.name);
  return names;
}

}  // namespace nmlbench
