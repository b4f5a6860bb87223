// The noise models of a list, [[pretrain]] noise = [...]: every combination of their parameters' axes.
#pragma once

#include "plan/inspector.h"
#include "plan/plan.h"
#include "plan/preprocessing.h"
#include "plan/split_table.h"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace nmlbench {

class NoiseTable {
 public:
  // `splits` are those of `table`, which sources of replacement samples are added to.
  NoiseTable(const Catalog& catalog, const Inspector& inspector, SplitTable& table, PreprocessingTable& preprocessing,
             const std::vector<Split>& splits)
      : catalog_(catalog), inspector_(inspector), table_(table), preprocessing_(preprocessing), splits_(splits) {}

  // The product over the axes of all models in the list, the last one fastest; of an empty list, `clean` alone. `where`
  // is the table that has the list, and `encoder` the one that is to see the samples.
  std::vector<std::vector<NoiseStep>> expand(std::vector<NoiseSpec> models, const Location& where,
                                             const ResolvedPlugin& encoder);

  // What a step adds to the identity of noisy targets of `size` samples; content digests only with `content`.
  void add_parts(const NoiseStep& step, std::int64_t size, bool content, std::vector<std::string>& parts);

 private:
  std::vector<NoiseStep> axis(const NoiseSpec& spec, const ResolvedPlugin& encoder);
  bool rounds_up(std::int64_t size, double ratio);

  const Catalog& catalog_;
  const Inspector& inspector_;
  SplitTable& table_;
  PreprocessingTable& preprocessing_;
  const std::vector<Split>& splits_;
  std::map<std::pair<std::int64_t, double>, bool> rounds_up_;
};

}  // namespace nmlbench
