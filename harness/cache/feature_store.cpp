#include "cache/feature_store.h"

#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace nmlbench {
namespace {

// Reserves the blocks: writing into a mapped hole of a full disk would be a SIGBUS.
void reserve(const std::filesystem::path& file, std::int64_t bytes) {
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) throw SystemError(file.string(), "create", errno, "choose another --cache-dir");
  const int failed = ::posix_fallocate(descriptor, 0, std::max<std::int64_t>(bytes, 1));
  ::close(descriptor);
  if (failed != 0) {
    throw SystemError(file.string(), fmt::format("reserve {} bytes", bytes), failed, "choose another --cache-dir");
  }
}

torch::Tensor map_file(const std::filesystem::path& file, bool writable, torch::ScalarType type, std::int64_t count) {
  return torch::from_file(file.string(), writable, count, torch::dtype(type));
}

// Reading a mapping beyond the end of its file would be a SIGBUS.
void expect_bytes(const std::filesystem::path& file, std::int64_t bytes) {
  if (bytes < 0 || std::filesystem::file_size(file) < static_cast<std::uintmax_t>(bytes)) {
    throw DamagedFile(file, fmt::format("does not hold the {} bytes that its meta.json promises", bytes));
  }
}

}  // namespace

std::optional<Features> load_features(const ArtifactCache& cache, const std::string& id) {
  std::optional<Features> features;
  cache.use(ArtifactKind::features, id, [&](const Artifact& artifact) {
    const auto rows = artifact.about->at("rows").get<std::int64_t>();
    const auto dim = artifact.about->at("dim").get<std::int64_t>();
    const auto classes = artifact.about->at("classes").get<std::int64_t>();
    const std::filesystem::path x = artifact.folder / "x.f32", y = artifact.folder / "y.i64";
    expect_bytes(x, rows * dim * static_cast<std::int64_t>(sizeof(float)));
    expect_bytes(y, rows * static_cast<std::int64_t>(sizeof(std::int64_t)));
    features = {map_file(x, false, torch::kFloat32, rows * dim).view({rows, dim}),
                map_file(y, false, torch::kInt64, rows), classes, artifact.about->value("tokens", std::int64_t{1})};
  });
  return features;
}

Features require_features(const ArtifactCache& cache, const std::string& id) {
  std::optional<Features> features = load_features(cache, id);
  if (!features)
    throw FeaturesGone(
        fmt::format("the features {} vanished from the cache, or were damaged, while they were in use; run again", id));
  return std::move(*features);
}

FeatureWriter::FeatureWriter(ArtifactCache& cache, std::int64_t rows, std::int64_t dim, std::int64_t tokens)
    : cache_(cache), staging_(cache.stage()), tokens_(tokens) {
  const std::filesystem::path file = staging_.folder() / "x.f32";
  reserve(file, rows * dim * static_cast<std::int64_t>(sizeof(float)));
  x_ = map_file(file, true, torch::kFloat32, rows * dim).view({rows, dim});
}

void FeatureWriter::publish(const std::string& id, const torch::Tensor& labels, std::int64_t classes,
                            nlohmann::json about) {
  const std::filesystem::path file = staging_.folder() / "y.i64";
  reserve(file, labels.numel() * static_cast<std::int64_t>(sizeof(std::int64_t)));
  map_file(file, true, torch::kInt64, labels.numel()).copy_(labels);
  about["rows"] = x_.size(0);
  about["dim"] = x_.size(1);
  about["classes"] = classes;
  if (tokens_ != 1) about["tokens"] = tokens_;
  x_ = torch::Tensor();  // unmap before the files are synced
  cache_.publish(ArtifactKind::features, id, std::move(staging_), about);
}

}  // namespace nmlbench
