#include "plan/optim.h"

namespace nmlbench {
namespace {

Augmentation to_augmentation(const Params& p) {
  const std::string& name = p.text("augment");
  Augmentation augmentation;
  augmentation.shift = name == "shift" || name == "shift-flip";
  augmentation.crop = name == "crop" || name == "crop-flip";
  augmentation.flip = name == "shift-flip" || name == "crop-flip";
  augmentation.max_shift = p.integer("shift");
  augmentation.min_scale = p.reals("crop_scale").front();
  augmentation.max_scale = p.reals("crop_scale").back();
  augmentation.jitter = p.real("jitter");
  return augmentation;
}

Optim to_optim(const DeclaredValues& values) {
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
  optim.bf16 = p.text("precision") == "bf16";
  optim.ema = p.real("ema");
  optim.augment = to_augmentation(p);
  optim.canonical = values.canonical;
  return optim;
}

}  // namespace

std::vector<Optim> expand_optim(const PluginRef& optim) {
  const Declaration declaration{"optim", kOptimParams, std::size(kOptimParams)};
  std::vector<Optim> result;
  for (const DeclaredValues& values : expand_declared(declaration, optim.values, optim.where)) {
    result.push_back(to_optim(values));
    const Optim& last = result.back();
    const std::vector<double>& scale = values.params.reals("crop_scale");
    if (scale.size() != 2 || scale[0] > scale[1]) {
      throw ConfigError(optim.where,
                        "crop_scale takes the smallest and the largest share of the area, e.g. [0.08, 1.0]");
    }
    if (last.name == "sgd" && last.nesterov && last.momentum == 0) {
      throw ConfigError(optim.where, "nesterov = true needs a momentum above 0");
    }
  }
  return result;
}

}  // namespace nmlbench
