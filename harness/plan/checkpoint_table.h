// [[pretrain]]: the checkpoints of a plan, each once.
#pragma once

#include "plan/inspector.h"
#include "plan/noise_table.h"
#include "plan/plan.h"
#include "plan/preprocessing.h"
#include "plan/split_table.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace nmlbench {

// What cells need to know of a checkpoint beside itself.
struct CheckpointNotes {
  std::string coordinates;          // hash of its identity without content digests
  std::string obstacle;             // which of its weights are not there, or ""
  std::vector<std::int64_t> seeds;  // of the cells that use it
};

class CheckpointTable {
 public:
  // Fills `plan.checkpoints`; splits are those of `plan`, in `splits`.
  CheckpointTable(const MatrixSpec& spec, const Catalog& catalog, const Inspector& inspector, SplitTable& splits,
                  PreprocessingTable& preprocessing, NoiseTable& noises, Plan& plan)
      : spec_(spec),
        catalog_(catalog),
        inspector_(inspector),
        splits_(splits),
        preprocessing_(preprocessing),
        noises_(noises),
        plan_(plan) {}

  // Throws ConfigError.
  void add(const PretrainSpec& pretrain);

  // Of Plan::checkpoints[checkpoint].
  const CheckpointNotes& notes(std::size_t checkpoint) const { return notes_[checkpoint]; }

 private:
  void add_trained(const PretrainSpec& pretrain, const ResolvedPlugin& encoder);
  std::optional<Validation> validation_of(const PretrainSpec& pretrain, const ResolvedPlugin& encoder,
                                          std::size_t train);
  void add_as_built(const ResolvedPlugin& encoder, bool has_weights);
  void add_stated(const PretrainSpec& pretrain);
  void add_one(Checkpoint checkpoint, std::vector<std::int64_t> cell_seeds);
  static void add_readout(Checkpoint& checkpoint, const ResolvedPlugin& encoder);
  std::string missing_weights(const ResolvedPlugin& encoder) const;
  std::vector<std::string> parts_of(const Checkpoint& checkpoint, bool content);
  void reject_noise_of_one_name(const Checkpoint& checkpoint);

  const MatrixSpec& spec_;
  const Catalog& catalog_;
  const Inspector& inspector_;
  SplitTable& splits_;
  PreprocessingTable& preprocessing_;
  NoiseTable& noises_;
  Plan& plan_;
  std::map<std::string, std::size_t> index_of_;                    // id -> Plan::checkpoints
  std::map<std::string, std::vector<std::string>> noise_of_name_;  // name and ratio -> identity
  std::vector<CheckpointNotes> notes_;
};

}  // namespace nmlbench
