#include "models/layers/zero_shot.h"

#include "models/layers/full_precision.h"
#include "models/layers/info_nce.h"

#include <algorithm>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

constexpr std::size_t kTextsAtOnce = 256;

}  // namespace

Tensor class_embeddings(const std::vector<std::vector<Text>>& prompts,
                        const std::function<Tensor(const std::vector<Text>&)>& embed) {
  if (prompts.empty()) {
    throw Error(
        "it knows classes by their names alone, and the validation data have none; give them: "
        "zero_shot = { class_names = \"FILE\" }, a name a line");
  }
  std::vector<Text> all;
  for (const std::vector<Text>& of_class : prompts) all.insert(all.end(), of_class.begin(), of_class.end());
  std::vector<Tensor> parts;
  for (std::size_t begin = 0; begin < all.size(); begin += kTextsAtOnce) {
    const auto at = [&](std::size_t i) { return all.begin() + static_cast<std::ptrdiff_t>(std::min(i, all.size())); };
    parts.push_back(unit_rows(embed({at(begin), at(begin + kTextsAtOnce)})));
  }
  const Tensor embedded = torch::cat(parts);
  std::vector<Tensor> classes;
  std::int64_t at = 0;
  for (const std::vector<Text>& of_class : prompts) {
    const auto count = static_cast<std::int64_t>(of_class.size());
    classes.push_back(embedded.slice(0, at, at + count).mean(0));
    at += count;
  }
  return unit_rows(torch::stack(classes));
}

Tensor cosines(const Tensor& images, const Tensor& classes) {
  const FullPrecision full_precision;
  return unit_rows(images).matmul(classes.t());
}

}  // namespace nmlbench::plugins
