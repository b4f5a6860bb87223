#include "tar_shards.h"

#include "datasets/images/content.h"
#include "datasets/images/listing.h"
#include "datasets/images/workers.h"
#include "shard_index.h"

#include <nmlbench/digest.h>
#include <nmlbench/error.h>
#include <nmlbench/surroundings.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <string_view>

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <unistd.h>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kLargestField = 16 << 20;  // bytes of a label, caption or JSON member
constexpr std::int64_t kLargestImage = std::int64_t{1} << 30;
constexpr std::size_t kBlock = std::size_t{64} << 10;

using Archive = std::unique_ptr<archive, int (*)(archive*)>;

Archive open_tar() {
  Archive tar(archive_read_new(), archive_read_free);
  archive_read_support_format_tar(tar.get());
  return tar;
}

std::string reason(archive* tar) {
  const char* text = archive_error_string(tar);
  return text != nullptr ? text : "unknown error";
}

void read_content(archive* tar, void* out, std::int64_t bytes) {
  auto* to = static_cast<char*>(out);
  while (bytes > 0) {
    const la_ssize_t got = archive_read_data(tar, to, static_cast<std::size_t>(bytes));
    if (got <= 0) throw BrokenImage("the shard ends in it");
    to += got;
    bytes -= got;
  }
}

std::string name_of(archive_entry* entry) {
  const char* name = archive_entry_pathname(entry);
  return name != nullptr ? name : "";
}

// Members are never unpacked; a name that would escape shows that the shard is not what it should be.
void check_member(const fs::path& shard, archive_entry* entry, const std::string& name) {
  const auto refuse = [&](const char* why) {
    throw DataError(shard.string() + ": member \"" + name + "\" " + why + "; refused");
  };
  const fs::path path = name;
  if (path.is_absolute()) refuse("has an absolute name");
  if (std::find(path.begin(), path.end(), "..") != path.end()) refuse("would leave the folder (\"..\")");
  if (archive_entry_hardlink(entry) != nullptr || archive_entry_filetype(entry) == AE_IFLNK) refuse("is a link");
}

struct MemberName {
  std::string key, ending;
};

// WebDataset's rule: the ending begins at the first dot of the last part of the name.
MemberName split_name(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  const std::size_t dot = name.find('.', slash == std::string::npos ? 0 : slash + 1);
  if (dot == std::string::npos) return {name, ""};
  std::string ending = name.substr(dot + 1);
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  return {name.substr(0, dot), ending};
}

bool is_image(const std::string& ending) {
  return ending == "jpg" || ending == "jpeg" || ending == "png" || ending == "webp";
}

// Also of formats that are not read from shards.
bool looks_like_image(const std::string& ending) {
  return is_image(ending) || ending == "bmp" || ending == "gif" || is_other_image(ending);
}

// What systems put beside the members: neither images nor labels.
bool is_system_member(const std::string& name) {
  const fs::path path = name;
  return is_system_name(path.filename().string()) || std::find(path.begin(), path.end(), "__MACOSX") != path.end();
}

// Members that look like images and were taken for none. One of a sample that has its image anyway (a mask, a second
// view) is not missed.
class PassedOver {
 public:
  void add(const std::string& name, const MemberName& split) {
    const std::string last = split.ending.substr(split.ending.rfind('.') + 1);
    if (looks_like_image(last)) members_.push_back({name, split, last});
  }

  // Throws DataError when an image would be lost, and for samples whose members lie apart.
  void check(const fs::path& shard, const std::vector<TarSample>& samples) const {
    std::set<std::string> with_image;
    for (const TarSample& sample : samples) {
      if (sample.image >= 0) with_image.insert(sample.key);
    }
    for (const TarSample& sample : samples) {
      if (sample.image >= 0 || with_image.count(sample.key) == 0) continue;
      throw DataError(shard.string() + ": the members of sample \"" + sample.key +
                      "\" do not lie next to each other; write the shard sorted by name (tar --sort=name)");
    }
    std::int64_t lost = 0;
    const Member* first = nullptr;
    for (const Member& member : members_) {
      if (with_image.count(member.split.key) > 0) continue;
      if (lost++ == 0) first = &member;
    }
    if (first == nullptr) return;
    const std::string what = shard.string() + ": " + std::to_string(lost) +
                             " images would be left out, the first is \"" + first->name + "\": ";
    if (first->split.ending == first->last)
      throw DataError(what + "images in shards end in .jpg, .jpeg, .png or .webp");
    throw DataError(what + "an ending begins at the first dot of a name, so this one's is \"." + first->split.ending +
                    "\"; rename members that have another dot");
  }

 private:
  struct Member {
    std::string name;
    MemberName split;
    std::string last;  // what follows the last dot
  };
  std::vector<Member> members_;
};

// How a file that is no tar is packed; "" when that is not known.
std::string packing_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string head(6, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  const auto begins = [&](std::string_view magic) { return head.compare(0, magic.size(), magic) == 0; };
  if (begins("\x1F\x8B")) return "gzip";
  if (begins("BZh")) return "bzip2";
  if (begins("\xFD"
             "7zXZ"))
    return "xz";
  if (begins("\x28\xB5\x2F\xFD")) return "zstd";
  return begins("PK") ? "zip" : "";
}

std::vector<TarSample> read_shard(const fs::path& shard, const std::vector<std::string>& endings) {
  std::vector<TarSample> samples;
  PassedOver passed_over;
  const Archive tar = open_tar();
  const auto fail = [&] {
    const std::string packing = samples.empty() ? packing_of(shard) : "";
    if (!packing.empty())
      throw DataError(shard.string() + ": is compressed (" + packing + "); shards are plain tar files");
    throw DataError(shard.string() + ": " + reason(tar.get()) +
                    (samples.empty() ? "; shards are plain tar files, not compressed" : "; the shard is damaged"));
  };
  if (archive_read_open_filename(tar.get(), shard.c_str(), kBlock) != ARCHIVE_OK) fail();
  archive_entry* entry = nullptr;
  for (int status = archive_read_next_header(tar.get(), &entry); status != ARCHIVE_EOF;
       status = archive_read_next_header(tar.get(), &entry)) {
    if (status < ARCHIVE_WARN) fail();
    const std::string name = name_of(entry);
    check_member(shard, entry, name);
    if (archive_entry_filetype(entry) != AE_IFREG || is_system_member(name)) continue;
    const auto [key, ending] = split_name(name);
    const bool field = std::find(endings.begin(), endings.end(), ending) != endings.end();
    if (!is_image(ending) && !field) {
      passed_over.add(name, {key, ending});
      continue;
    }
    if (samples.empty() || samples.back().key != key) samples.push_back({key, 0, -1, {}});
    if (is_image(ending)) {
      samples.back().image = archive_read_header_position(tar.get());
      continue;
    }
    const std::int64_t size = archive_entry_size(entry);
    if (size > kLargestField) throw DataError(shard.string() + ": member \"" + name + "\" is too large for a label");
    std::string content(static_cast<std::size_t>(size), '\0');
    try {
      read_content(tar.get(), content.data(), size);
    } catch (const BrokenImage&) {
      fail();
    }
    samples.back().fields[ending] = std::move(content);
  }
  passed_over.check(shard, samples);
  if (samples.empty()) throw DataError(shard.string() + ": holds no sample (.jpg, .png or .webp members)");
  return samples;
}

std::vector<TarSample> samples_of(const fs::path& shard, const std::vector<std::string>& endings,
                                  const std::optional<CacheSpace>& space) {
  if (!space) {
    state_of(shard);  // that it is a file: a pipe would be waited for
    return read_shard(shard, endings);
  }
  const ShardIndex index(*space, shard, endings);
  if (std::optional<std::vector<TarSample>> known = index.load()) return *std::move(known);
  std::vector<TarSample> samples = read_shard(shard, endings);
  index.save(samples);
  return samples;
}

// Feeds libarchive from some place of a file, whatever other threads read of it.
struct Cursor {
  int descriptor;
  std::int64_t at;
  std::vector<char> block = std::vector<char>(kBlock);

  static la_ssize_t read(archive*, void* self, const void** data) {
    auto* cursor = static_cast<Cursor*>(self);
    const ssize_t got = ::pread(cursor->descriptor, cursor->block.data(), kBlock, cursor->at);
    if (got > 0) cursor->at += got;
    *data = cursor->block.data();
    return got;
  }
};

}  // namespace

std::vector<TarSample> read_shards(const std::vector<fs::path>& shards, const std::vector<std::string>& endings,
                                   const std::optional<CacheSpace>& space) {
  std::vector<std::vector<TarSample>> read(shards.size());
  for_each_index(static_cast<std::int64_t>(shards.size()), surroundings().threads, [&](std::int64_t i) {
    const auto shard = static_cast<std::size_t>(i);
    read[shard] = samples_of(shards[shard], endings, space);
    for (TarSample& sample : read[shard]) sample.shard = shard;
  });
  std::vector<TarSample> samples;
  for (std::vector<TarSample>& part : read) {
    samples.insert(samples.end(), std::make_move_iterator(part.begin()), std::make_move_iterator(part.end()));
    part = {};
  }
  return samples;
}

TarImages::TarImages(std::vector<fs::path> shards, const std::vector<TarSample>& samples) : shards_(std::move(shards)) {
  for (const TarSample& sample : samples) places_.push_back({sample.shard, sample.image, sample.key});
  for (const fs::path& shard : shards_) {
    descriptors_.push_back(::open(shard.c_str(), O_RDONLY | O_CLOEXEC));
    if (descriptors_.back() < 0) throw DataError(shard.string() + ": cannot be opened: " + std::strerror(errno));
  }
}

TarImages::~TarImages() {
  for (const int descriptor : descriptors_) ::close(descriptor);
}

std::string TarImages::name(std::int64_t row) const {
  const Place& place = places_[static_cast<std::size_t>(row)];
  return shards_[place.shard].string() + ": " + place.key;
}

Image TarImages::image(std::int64_t row, const DecodeOptions& decode, const ResizeOptions& resize) const {
  const Place& place = places_[static_cast<std::size_t>(row)];
  const Archive tar = open_tar();
  Cursor cursor{descriptors_[place.shard], place.offset};
  archive_entry* entry = nullptr;
  if (archive_read_open(tar.get(), &cursor, nullptr, Cursor::read, nullptr) != ARCHIVE_OK ||
      archive_read_next_header(tar.get(), &entry) < ARCHIVE_WARN || split_name(name_of(entry)).key != place.key) {
    throw DataError(name(row) + ": the shard changed while it was in use");
  }
  const std::int64_t size = archive_entry_size(entry);
  if (size > kLargestImage) throw BrokenImage("is above 1 GiB, which no image is");
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size));
  read_content(tar.get(), bytes.data(), size);
  return decode_and_resize(bytes.data(), bytes.size(), decode, resize);
}

std::string TarImages::digest() const {
  Digest digest;
  digest.update(content_digest(shards_));
  for (const Place& place : places_) digest.update(place.key);
  return digest.hex();
}

}  // namespace nmlbench::plugins
