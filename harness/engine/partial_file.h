// What an unfinished training has after its last epoch, kept in the cache so that a killed run loses no more than the
// epoch it was in.
#pragma once

#include "cache/artifacts.h"

#include <nmlbench/torch.h>

#include <functional>
#include <future>
#include <string>

namespace nmlbench {

// Through memory: LibTorch's own file writer ends the program when the disk is full.
std::string bytes_of(torch::serialize::OutputArchive& archive);
torch::serialize::InputArchive archive_of(std::string_view bytes, torch::Device device);

class PartialFile {
 public:
  // `id`: of the training.
  PartialFile(ArtifactCache& cache, std::string id) : cache_(cache), id_(std::move(id)) {}

  // Gives the archive that is there to `read` and returns true; false when there is none. One that is damaged, or with
  // which `read` throws, is thrown away, with `read`'s reason in the log: training begins anew, and so `read` leaves
  // everything as it was when it throws.
  bool load(torch::Device device, const std::function<void(torch::serialize::InputArchive&)>& read) const;

  // Training goes on while the bytes are written and synced; what that throws, the next call or wait() throws.
  void save(torch::serialize::OutputArchive& archive);
  void wait();

  void remove() const;

 private:
  ArtifactCache& cache_;
  std::string id_;
  std::future<void> save_;  // last: it ends before what it uses
};

}  // namespace nmlbench
