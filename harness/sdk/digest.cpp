#include <nmlbench/digest.h>

#define XXH_INLINE_ALL
#include <array>
#include <cstdint>
#include <fstream>
#include <vector>

#include <xxhash.h>

namespace nmlbench {

struct Digest::State {
  XXH3_state_t xxh;
};

Digest::Digest() : state_(std::make_unique<State>()) {
  XXH3_128bits_reset(&state_->xxh);
}
Digest::~Digest() = default;

Digest& Digest::update(const void* data, std::size_t bytes) {
  if (bytes > 0) XXH3_128bits_update(&state_->xxh, data, bytes);
  return *this;
}

Digest& Digest::update(std::string_view text) {
  const std::uint64_t size = text.size();
  update(&size, sizeof size);
  return update(text.data(), text.size());
}

std::string Digest::hex() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state_->xxh));
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(32);
  for (const unsigned char byte : canonical.digest) {
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

std::string digest_of(std::string_view text) {
  return Digest().update(text).hex();
}

std::string digest_of_file(const std::filesystem::path& file) {
  std::error_code error;
  const std::filesystem::file_type type = std::filesystem::status(file, error).type();
  if (type != std::filesystem::file_type::regular && std::filesystem::exists(file, error)) {
    throw DataError(file.string() + ": is no regular file");  // opening a pipe would wait for its writer
  }
  if (type == std::filesystem::file_type::not_found) throw DataError(file.string() + ": no such file; check the path");
  std::ifstream in(file, std::ios::binary);
  if (!in) throw DataError(file.string() + ": cannot be read; check the path and its permissions");
  Digest digest;
  std::vector<char> chunk(1 << 20);
  while (in) {
    in.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    digest.update(chunk.data(), static_cast<std::size_t>(in.gcount()));
  }
  if (in.bad()) throw DataError(file.string() + ": a read failed half-way; check the disk");
  return digest.hex();
}

}  // namespace nmlbench
