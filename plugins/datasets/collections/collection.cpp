#include "collection.h"

#include <array>
#include <fstream>
#include <memory>

#include <openssl/evp.h>

namespace nmlbench::plugins {

namespace fs = std::filesystem;

namespace {

// What is hashed unasked: MD5 takes less than a second for it at 300 MB/s.
constexpr std::uintmax_t kQuickBytes = std::uintmax_t{256} << 20;

}  // namespace

std::string md5_of_file(const fs::path& file) {
  std::error_code error;
  std::ifstream in;
  if (fs::is_regular_file(file, error)) in.open(file, std::ios::binary);  // a pipe would be waited for
  if (!in.is_open()) throw DataError(file.string() + ": no such file");
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> md5(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_DigestInit_ex(md5.get(), EVP_md5(), nullptr);
  std::vector<char> part(1 << 20);
  while (in) {
    in.read(part.data(), static_cast<std::streamsize>(part.size()));
    EVP_DigestUpdate(md5.get(), part.data(), static_cast<std::size_t>(in.gcount()));
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
  unsigned length = 0;
  EVP_DigestFinal_ex(md5.get(), sum.data(), &length);
  std::string hex;
  for (unsigned i = 0; i < length; ++i) {
    hex += "0123456789abcdef"[sum[i] >> 4];
    hex += "0123456789abcdef"[sum[i] & 15];
  }
  return hex;
}

fs::path Collection::find_root() const {
  const fs::path path = params().path("path");
  std::error_code error;
  std::vector<fs::path> places = {path};
  for (const std::string& name : folder_names()) places.push_back(path / name);
  for (const fs::path& place : places) {
    if (fs::exists(place / marker(), error)) return place;
  }
  std::string names;
  for (const std::string& name : folder_names()) names += (names.empty() ? "" : " or ") + name + "/";
  throw DataError(path.string() + ": holds no " + marker() + ", itself or in " + names);
}

void Collection::check_files(const fs::path& root, const std::vector<Official::File>& files) const {
  std::uintmax_t bytes = 0;
  for (const Official::File& file : files) {
    std::error_code error;
    const std::uintmax_t size = fs::file_size(root / file.path, error);
    bytes += error ? 0 : size;
  }
  if (params().text("verify") != "all" && bytes > kQuickBytes) return;
  for (const Official::File& file : files) {
    const std::string md5 = md5_of_file(root / file.path);
    if (md5 == file.md5) continue;
    throw DataError((root / file.path).string() + ": its MD5 is " + md5 + ", the official file's " + file.md5 +
                    "; get it again, or take it as it is with verify = \"nothing\"");
  }
}

ImageListing Collection::list() {
  const fs::path root = find_root();
  if (params().text("verify") == "nothing") return read(root);
  const Official expected = official();
  check_files(root, expected.files);
  ImageListing listing = read(root);
  if (params().text("verify") != "all") return listing;
  const auto check = [&](const char* what, std::int64_t found, std::int64_t wanted) {
    if (wanted > 0 && found != wanted) {
      throw DataError(root.string() + ": has " + std::to_string(found) + " " + what + ", the official distribution " +
                      std::to_string(wanted));
    }
  };
  listing.source->check_present();
  check("images", static_cast<std::int64_t>(listing.labels.size()), expected.size);
  check("classes", listing.classes, expected.classes);
  return listing;
}

}  // namespace nmlbench::plugins
