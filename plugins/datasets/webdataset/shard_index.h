// What the headers of a shard say, kept in the cache: a shard is read once, however often it is opened.
#pragma once

#include "datasets/images/cache_space.h"
#include "datasets/images/content.h"
#include "tar_shards.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace nmlbench::plugins {

class ShardIndex {
 public:
  // Of the present state of a shard, for fields with these endings. Throws DataError when it cannot be read.
  ShardIndex(const CacheSpace& space, const std::filesystem::path& shard, const std::vector<std::string>& endings);

  // Nothing when there is none or it is damaged. The samples' shard number is left at 0.
  std::optional<std::vector<TarSample>> load() const;
  // Unless the shard has just changed, or does so while it is read.
  void save(const std::vector<TarSample>& samples) const;

  const std::filesystem::path& file() const { return file_; }

 private:
  std::filesystem::path shard_;
  FileState state_;
  std::filesystem::path file_;
};

}  // namespace nmlbench::plugins
