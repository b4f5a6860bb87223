#include "plan/optim.h"

#include <fmt/format.h>

namespace nmlbench {
namespace {

Optim to_optim(const DeclaredValues& values, const Location& where) {
  const Params& p = values.params;
  Optim optim;
  optim.name = p.text("name");
  optim.lr = p.real("lr");
  optim.momentum = p.real("momentum");
  optim.nesterov = p.boolean("nesterov");
  optim.weight_decay = p.real("weight_decay");
  optim.epochs = p.integer("epochs");
  optim.batch_size = p.integer("batch_size");
  optim.schedule = p.text("schedule");
  optim.warmup = p.real("warmup");
  optim.clip = p.real("clip");
  optim.precision = precision_named(p.text("precision"));
  optim.ema = p.real("ema");
  optim.threads = static_cast<int>(p.integer("threads"));
  optim.augment = to_augmentation(p, where);
  optim.augment.operations = p.integer("rand_ops");
  optim.augment.magnitude = p.integer("rand_magnitude");
  optim.repeats = p.integer("repeated_augmentation");
  optim.mixing = {p.real("mixup"), p.real("cutmix"), p.real("mix_prob"), p.real("mix_switch"),
                  p.real("random_erasing")};
  optim.loss = {p.text("loss") == "bce", p.real("bce_threshold"), p.real("label_smoothing")};
  optim.canonical = values.canonical;
  return optim;
}

}  // namespace

std::vector<Optim> expand_optim(const PluginRef& optim) {
  const Declaration declaration{"optim", kOptimParams, std::size(kOptimParams)};
  std::vector<Optim> result;
  for (const DeclaredValues& values : expand_declared(declaration, optim.values, optim.where)) {
    result.push_back(to_optim(values, optim.where));
    const Optim& last = result.back();
    if (last.name == "sgd" && last.nesterov && last.momentum == 0) {
      throw ConfigError(optim.where, "nesterov = true needs a momentum above 0");
    }
    if (last.loss.bce && last.loss.smoothing > 0 && last.loss.bce_threshold > 0) {
      throw ConfigError(
          optim.where,
          fmt::format("label_smoothing = {:g} does nothing where bce_threshold = {:g} makes every target 0 "
                      "or 1; remove it, or set bce_threshold = 0",
                      last.loss.smoothing, last.loss.bce_threshold));
    }
  }
  return result;
}

}  // namespace nmlbench
