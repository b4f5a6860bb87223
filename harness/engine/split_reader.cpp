#include "engine/split_reader.h"

#include <algorithm>
#include <chrono>

#include <ATen/Parallel.h>

namespace nmlbench {
namespace {

// One in the making and one that waits for its turn.
constexpr std::int64_t kChunksAhead = 2;

std::int64_t chunks_of(const SplitData& split, std::int64_t chunk) {
  return (split.info().size + chunk - 1) / chunk;
}

// Where samples are copied from memory, and texts, there is nothing to wait for.
std::int64_t chunks_ahead(const SplitData& split, const Views& views) {
  const SampleKind kind = split.info().kind;
  if (kind == SampleKind::text || kind == SampleKind::feature) return 0;
  return split.in_memory() && !views.augment.photo_crop ? 0 : kChunksAhead;
}

}  // namespace

SplitReader::SplitReader(const SplitData& split, const Views& views, std::int64_t chunk, torch::Device device)
    : split_(split),
      views_(views),
      chunk_(chunk),
      chunks_(chunks_of(split, chunk) * views.copies()),
      device_(device),
      threads_(at::get_num_threads()),
      ahead_(chunks_, chunks_ahead(split, views), [this](std::int64_t index) {
        const torch::NoGradGuard no_grad;
        at::set_num_threads(threads_);  // of this thread, as of the stage's own
        return this->chunk(index);
      }) {}

std::optional<Chunk> SplitReader::next() {
  using Clock = std::chrono::steady_clock;
  if (taken_ == chunks_) return std::nullopt;
  ++taken_;
  const auto begin = Clock::now();
  std::optional<Chunk> chunk = ahead_.next();
  waited_ += std::chrono::duration<double>(Clock::now() - begin).count();
  return chunk;
}

Chunk SplitReader::chunk(std::int64_t index) const {
  const std::int64_t of_view = chunks_of(split_, chunk_);
  Chunk chunk;
  chunk.view = index / of_view;
  chunk.first = index % of_view * chunk_;
  chunk.last = std::min(chunk.first + chunk_, split_.info().size);
  const Stream draws = Stream(0).at("views").at(chunk.view).at(chunk.first);
  chunk.samples = samples_at(split_, torch::arange(chunk.first, chunk.last), device_, views_.of(chunk.view), draws);
  return chunk;
}

}  // namespace nmlbench
