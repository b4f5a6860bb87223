#include "plan/views.h"

#include "config/declared.h"

#include <algorithm>

namespace nmlbench {

Augmentation Views::of(std::int64_t view) const {
  Augmentation own = augment;
  if (view >= count / 2) own.jitter = std::max(own.jitter, strong_jitter);
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
  views.canonical = all.front().canonical;
  return views;
}

}  // namespace nmlbench
