// Samples in tar shards, as WebDataset writes them: members that share the part of their name before the first dot
// ("0001.jpg", "0001.cls", "0001.txt") are one sample. Nothing is unpacked: the headers are read once for each state of
// a shard, and an image is read at its place in it when it is asked for.
#pragma once

#include "datasets/images/cache_space.h"
#include "datasets/images/source.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nmlbench::plugins {

struct TarSample {
  std::string key;                            // with its folder, without its endings
  std::size_t shard = 0;                      // number of the file
  std::int64_t image = -1;                    // where the image's header begins; -1: the sample has no image
  std::map<std::string, std::string> fields;  // ending without its dot ("cls", "json", "txt") -> content
};

// The samples of shards in their order; what headers say is remembered in `space`. Of fields, only those with one of
// the `endings` are read. Throws DataError naming the shard: no tar, compressed, truncated, a member with an absolute
// name, "..", or that is a link.
std::vector<TarSample> read_shards(const std::vector<std::filesystem::path>& shards,
                                   const std::vector<std::string>& endings, const std::optional<CacheSpace>& space);

class TarImages : public ImageSource {
 public:
  TarImages(std::vector<std::filesystem::path> shards, const std::vector<TarSample>& samples);
  ~TarImages() override;

  std::string name(std::int64_t row) const override;
  Image image(std::int64_t row, const DecodeOptions& decode, const ResizeOptions& resize) const override;
  std::string digest() const override;

 private:
  struct Place {
    std::size_t shard;
    std::int64_t offset;
    std::string key;
  };

  std::vector<std::filesystem::path> shards_;
  std::vector<Place> places_;
  std::vector<int> descriptors_;  // one for each shard
};

}  // namespace nmlbench::plugins
