#include "asymmetric.h"

#include "tables.h"

#include <vector>

namespace nmlbench::plugins {
namespace {

// One integer for each class, as the user listed them.
std::vector<std::int64_t> of_each_class(const Params& params, const std::string& name, std::int64_t classes) {
  const std::vector<double>& given = params.reals(name);
  if (static_cast<std::int64_t>(given.size()) != classes) {
    throw DataError("`" + name + "` has " + std::to_string(given.size()) + " entries and the data " +
                    std::to_string(classes) + " classes");
  }
  std::vector<std::int64_t> numbers;
  for (const double value : given) {
    numbers.push_back(static_cast<std::int64_t>(value));
    if (static_cast<double>(numbers.back()) != value) {
      throw DataError("`" + name + "` has the entry " + std::to_string(value) + ", which is no whole number");
    }
  }
  return numbers;
}

}  // namespace

torch::Tensor Asymmetric::by_superclass(std::int64_t classes) const {
  const std::vector<std::int64_t> superclass = of_each_class(params_, "superclass", classes);
  const bool next_only = params_.text("within") == "next";
  torch::Tensor m = torch::zeros({classes, classes}, torch::kFloat64);
  for (std::int64_t c = 0; c < classes; ++c) {
    std::vector<std::int64_t> siblings;  // from c on, around
    for (std::int64_t step = 1; step < classes; ++step) {
      const std::int64_t other = (c + step) % classes;
      if (superclass[static_cast<std::size_t>(other)] == superclass[static_cast<std::size_t>(c)])
        siblings.push_back(other);
    }
    if (siblings.empty()) siblings.push_back(c);  // alone in its superclass
    if (next_only) siblings.resize(1);
    for (const std::int64_t other : siblings) m[c][other] = 1.0 / static_cast<double>(siblings.size());
  }
  return m;
}

torch::Tensor Asymmetric::by_map(std::int64_t classes) const {
  const std::vector<std::int64_t> map = of_each_class(params_, "map", classes);
  torch::Tensor m = torch::zeros({classes, classes}, torch::kFloat64);
  for (std::int64_t c = 0; c < classes; ++c) {
    const std::int64_t other = map[static_cast<std::size_t>(c)];
    if (other >= classes) {
      throw DataError("`map` sends class " + std::to_string(c) + " to " + std::to_string(other) + ", outside [0, " +
                      std::to_string(classes) + ")");
    }
    m[c][other] = 1.0;
  }
  return m;
}

torch::Tensor Asymmetric::destinations(std::int64_t classes) const {
  const std::string& kind = params_.text("kind");
  if (kind == "superclass") return by_superclass(classes);
  if (kind == "map") return by_map(classes);
  if (kind == "matrix") {
    if (params_.text("matrix").empty()) throw DataError("kind = \"matrix\" needs the file of the `matrix`");
    return read_transition(params_.path("matrix"), classes);
  }
  return torch::eye(classes, torch::kFloat64).roll(1, 1);
}

torch::Tensor Asymmetric::expected_transition(std::int64_t classes) const {
  return mix_with_identity(destinations(classes), params_.real("ratio"));
}

std::optional<double> Asymmetric::expected_rate(std::int64_t classes) const {
  return mean_flip_rate(expected_transition(classes));
}

NoiseOutput Asymmetric::corrupt(const NoiseInput& input, const Stream& draws) {
  return flip_labels(input.targets, expected_transition(input.classes), params_.text("mode") == "exact", draws);
}

}  // namespace nmlbench::plugins
