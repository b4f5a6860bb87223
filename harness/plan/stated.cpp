#include "plan/stated.h"

#include <fmt/format.h>

namespace nmlbench {

std::vector<Stated> expand_stated(const StatedSpec& spec) {
  const auto or_unknown = [](std::vector<std::string> names) {
    return names.empty() ? std::vector<std::string>{""} : std::move(names);
  };
  std::vector<Stated> product;
  for (const std::string& encoder : or_unknown(spec.encoders)) {
    for (const std::string& dataset : or_unknown(spec.datasets)) {
      if (spec.noises.empty()) product.push_back({encoder, dataset, "", {}, {}});
      for (const std::string& noise : spec.noises) {
        for (std::size_t i = 0; i < spec.noise_ratios.size(); ++i) {
          product.push_back({encoder, dataset, noise, spec.noise_ratios[i], {}});
          if (!spec.realised_rates.empty()) product.back().realised_rate = spec.realised_rates[i];
        }
      }
    }
  }
  return product;
}

std::string stated_name(const Checkpoint& c) {
  return fmt::format("{} {} {} seed {}", c.encoder_name(), c.noise_name(),
                     c.noise_ratio() ? fmt::format("{}", *c.noise_ratio()) : "", c.seed);
}

std::optional<NoiseRecord> stated_noise(const Checkpoint& checkpoint) {
  if (!checkpoint.noise_ratio() || checkpoint.trained()) return std::nullopt;
  NoiseRecord record;
  record.checkpoint_id = checkpoint.id;
  record.encoder = checkpoint.encoder_name();
  record.pretrain_dataset = checkpoint.stated->dataset;
  record.noise = checkpoint.noise_name();
  record.noise_ratio = checkpoint.noise_ratio().value();
  record.seed = checkpoint.seed;
  record.realised_rate = checkpoint.stated->realised_rate;
  record.stated = true;
  return record;
}

}  // namespace nmlbench
