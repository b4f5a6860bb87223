#include "shard_index.h"

#include <nmlbench/digest.h>
#include <nmlbench/sealed.h>

#include <cstring>
#include <string_view>
#include <type_traits>

#include <fcntl.h>
#include <sys/stat.h>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;

// Of the file's format and of how samples are formed of members.
constexpr std::string_view kFormat = "nmlbench-shard-index/3";
constexpr std::size_t kLeastBytes = sizeof(std::int64_t) + 2 * sizeof(std::uint32_t);  // of a sample

class Writer {
 public:
  template <typename Number>
  void number(Number value) {
    static_assert(std::is_integral_v<Number>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(const std::string& text) {
    number(static_cast<std::uint32_t>(text.size()));
    bytes_ += text;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Of a file whose digest fits; still, no length is trusted.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <typename Number>
  Number number() {
    static_assert(std::is_integral_v<Number>);
    Number value = 0;
    const std::string_view part = take(sizeof value);
    if (whole_) std::memcpy(&value, part.data(), sizeof value);
    return value;
  }
  std::string text() { return std::string(take(number<std::uint32_t>())); }
  std::size_t left() const { return rest_.size(); }
  bool whole() const { return whole_; }

 private:
  std::string_view take(std::size_t bytes) {
    if (bytes > rest_.size()) {
      whole_ = false;
      return {};
    }
    const std::string_view part = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return part;
  }

  std::string_view rest_;
  bool whole_ = true;
};

std::string bytes_of(const std::vector<TarSample>& samples) {
  Writer out;
  for (const TarSample& sample : samples) {
    out.text(sample.key);
    out.number(sample.image);
    out.number(static_cast<std::uint32_t>(sample.fields.size()));
    for (const auto& [ending, content] : sample.fields) {
      out.text(ending);
      out.text(content);
    }
  }
  return out.bytes();
}

std::optional<std::vector<TarSample>> samples_of(std::string_view bytes) {
  Reader in(bytes);
  std::vector<TarSample> samples;
  samples.reserve(bytes.size() / (4 * kLeastBytes));
  while (in.whole() && in.left() > 0) {
    TarSample& sample = samples.emplace_back();
    sample.key = in.text();
    sample.image = in.number<std::int64_t>();
    for (auto fields = in.number<std::uint32_t>(); in.whole() && fields > 0; --fields) {
      std::string ending = in.text();
      sample.fields.emplace_hint(sample.fields.end(), std::move(ending), in.text());
    }
  }
  if (!in.whole() || samples.empty()) return std::nullopt;
  return samples;
}

}  // namespace

ShardIndex::ShardIndex(const CacheSpace& space, const fs::path& shard, const std::vector<std::string>& endings)
    : shard_(shard), state_(state_of(shard)) {
  Digest id;
  id.update(kFormat).update(shard.string()).update(state_.fields.data(), sizeof state_.fields);
  for (const std::string& ending : endings) id.update(ending);
  file_ = space.file(id.hex(), "index");
}

std::optional<std::vector<TarSample>> ShardIndex::load() const {
  const std::optional<std::string> content = read_from_cache(file_, kFormat);
  if (!content) return std::nullopt;
  ::utimensat(AT_FDCWD, file_.c_str(), nullptr, 0);  // used now
  return samples_of(*content);
}

void ShardIndex::save(const std::vector<TarSample>& samples) const {
  if (!state_.settled() || state_of(shard_) != state_) return;
  keep_in_cache(file_, sealed(kFormat, bytes_of(samples)));
}

}  // namespace nmlbench::plugins
