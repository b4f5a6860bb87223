#include "plan/views.h"

#include "config/declared.h"

#include <algorithm>

namespace nmlbench {

Augmentation Views::of(std::int64_t view) const {
  Augmentation own = augment;
  if (view < count / 2) return own;
  own.jitter = std::max(own.jitter, strong_jitter);
  own.operations = strong_operations;
  own.magnitude = strong_magnitude;
  return own;
}

Views read_views(const PluginRef& table) {
  const Declaration declaration{"views", kViewParams, std::size(kViewParams)};
  const std::vector<DeclaredValues> all = expand_declared(declaration, table.values, table.where);
  if (all.size() != 1) throw ConfigError(table.where, "views cannot have an axis; write one [[task]] for each");
  const Params& params = all.front().params;
  Views views;
  views.count = params.integer("count");
  views.augment = to_augmentation(params, table.where);
  views.pairs = params.boolean("pairs");
  if (views.pairs && views.count < 2) throw ConfigError(table.where, "pairs = true needs a count of 2 or more");
  views.strong_jitter = params.real("strong_jitter");
  views.strong_operations = params.integer("strong_ops");
  views.strong_magnitude = params.integer("strong_magnitude");
  views.canonical = all.front().canonical;
  return views;
}

}  // namespace nmlbench
