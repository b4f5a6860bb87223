// The union of several databases: what `nmlbench merge` does with the shards of one matrix.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace nmlbench {

// A cell that two databases hold with different results although its id says that they are the same cell.
struct MergeConflict {
  std::filesystem::path input;  // whose result was not taken
  std::string cell_id;
  std::string what;  // "accuracy on photo: kept 0.5, found 0.6"
};

struct MergeResult {
  std::size_t added = 0;      // cells that were new
  std::size_t replaced = 0;   // failed cells that gave way to finished ones
  std::size_t identical = 0;  // finished cells that were there already
  std::vector<MergeConflict> conflicts;
  // Matrices whose plans differ between the databases, with the cells that the newest of them does not have.
  std::map<std::string, std::int64_t> superseded;
};

// Adds every input to `out` (created when it is not there), one transaction for each input. The first result of a
// cell is kept; metric values count as equal up to rounding (relative difference 1e-6). Inputs are only read (one of an
// older schema version is migrated first); all are checked before `out` is touched. Throws Error: `out` among the
// inputs, an input that cannot be opened.
MergeResult merge_databases(const std::filesystem::path& out, const std::vector<std::filesystem::path>& inputs);

}  // namespace nmlbench
