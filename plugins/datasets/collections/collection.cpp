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

// "{split}_32x32.mat" with the values of the parameters.
std::string filled(std::string text, const Params& params) {
  for (std::size_t begin = 0; (begin = text.find('{', begin)) != std::string::npos;) {
    const std::size_t end = text.find('}', begin);
    const ParamValue& value = params.values().at(text.substr(begin + 1, end - begin - 1));
    const auto* number = std::get_if<std::int64_t>(&value);
    text.replace(begin, end - begin + 1, number != nullptr ? std::to_string(*number) : std::get<std::string>(value));
  }
  return text;
}

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

const std::string& split_of(const Params& params) {
  return params.text("split");
}

std::int64_t size_of(const Params& params, std::initializer_list<std::pair<std::string_view, std::int64_t>> sizes) {
  for (const auto& [split, size] : sizes) {
    if (split == split_of(params)) return size;
  }
  throw Error("bug in a collection: the split " + split_of(params) + " has no size");
}

fs::path Collection::find_root() const {
  const fs::path path = params().path("path");
  const std::string marker = filled(spec_.marker, params());
  const std::vector<std::string> names = split_fields(filled(spec_.folders, params()), '|');
  std::error_code error;
  std::vector<fs::path> places = {path};
  for (const std::string& name : names) places.push_back(path / name);
  for (const fs::path& place : places) {
    if (fs::exists(place / marker, error)) return place;
  }
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : " or ") + name + "/";
  throw DataError(path.string() + ": holds no " + marker + ", itself or in " + list);
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
  if (params().text("verify") == "nothing") return spec_.read(root, params());
  const Official expected = spec_.official(params());
  check_files(root, expected.files);
  ImageListing listing = spec_.read(root, params());
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
