// A pass over a split in order. Where samples have to be decoded, those that come next are while the stage works on
// those before: neither the processor nor a GPU waits for the other.
#pragma once

#include "engine/sample_batch.h"
#include "plan/views.h"
#include "support/read_ahead.h"

#include <optional>

namespace nmlbench {

// Samples `first` .. `last` - 1 of view `view`.
struct Chunk {
  std::int64_t view = 0, first = 0, last = 0;
  Samples samples;
};

class SplitReader {
 public:
  // All views, one after the other, `chunk` samples at a time, for as long as `split` and `views` live. The views of a
  // sample depend on `chunk`, and on nothing else.
  SplitReader(const SplitData& split, const Views& views, std::int64_t chunk, torch::Device device);

  // Nothing after the last chunk. Throws what reading it threw.
  std::optional<Chunk> next();

  // How long next() waited for samples, or read them itself.
  double seconds_waited() const { return waited_; }

 private:
  Chunk chunk(std::int64_t index) const;

  const SplitData& split_;
  const Views& views_;
  std::int64_t chunk_, chunks_, taken_ = 0;
  torch::Device device_;
  int threads_;
  double waited_ = 0;
  ReadAhead<Chunk> ahead_;  // last: its thread uses the others
};

}  // namespace nmlbench
