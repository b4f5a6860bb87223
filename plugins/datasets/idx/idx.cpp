// IDX files, the format of MNIST and its family (http://yann.lecun.com/exdb/mnist): big-endian header, then bytes.
#include "datasets/common/files.h"
#include "datasets/common/labelled_images.h"

#include <nmlbench/plugin.h>

#include <algorithm>

namespace nmlbench::plugins {
namespace {

constexpr std::uint32_t kUnsignedByte = 0x08;
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 36;  // 64 GiB: larger headers are damaged or hostile

// What begins with these bytes instead of the header of an IDX file.
std::string what_it_is(std::uint32_t magic, const std::string& wanted) {
  const std::string no = "is no IDX file of " + wanted + ", ";
  if (magic >> 8 == kUnsignedByte) {
    const std::uint32_t found = magic & 0xFF;
    return no + "but one of " + std::to_string(found) + (found == 1 ? " dimension (labels)" : " dimensions") +
           "; images have 3 and labels 1";
  }
  if (magic >> 16 == 0) return no + "as its elements are no unsigned bytes";
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(magic >> shift & 0xFF);
  const bool printable = std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x20 && c < 0x7F; });
  if (text[0] == '<') return no + "but a web page (it begins with \"" + text + "\"); fetch the file again";
  return no + "but " + (printable ? "text, which begins with \"" + text + "\"" : "something else");
}

// Dimensions of an IDX file of unsigned bytes, the reader standing behind its header.
std::vector<std::int64_t> read_header(FileReader& reader, const std::filesystem::path& file, std::size_t dims,
                                      const char* what) {
  const std::uint32_t magic = reader.big_endian_u32("header");
  if (magic != (kUnsignedByte << 8 | dims)) throw DataError(file.string() + ": " + what_it_is(magic, what));
  std::vector<std::int64_t> sizes;
  std::uint64_t bytes = 1;
  for (std::size_t i = 0; i < dims; ++i) {
    sizes.push_back(reader.big_endian_u32("header"));
    bytes = sizes.back() > 0 && bytes > kMostBytes / static_cast<std::uint64_t>(sizes.back())
                ? kMostBytes + 1
                : bytes * static_cast<std::uint64_t>(sizes.back());
  }
  if (bytes == 0) throw DataError(file.string() + ": its header says that there are no " + std::string(what));
  if (bytes > kMostBytes) throw DataError(file.string() + ": its header asks for an impossible amount of memory");
  return sizes;
}

// Grows with what is really there: a header that promises more than the file holds costs no memory.
torch::Tensor read_bytes(FileReader& reader, const std::vector<std::int64_t>& sizes, const char* what) {
  const std::int64_t total = c10::multiply_integers(sizes);
  std::vector<std::uint8_t> bytes;
  constexpr std::int64_t kPart = 1 << 24;
  for (std::int64_t at = 0; at < total; at += kPart) {
    const std::int64_t part = std::min(kPart, total - at);
    bytes.resize(static_cast<std::size_t>(at + part));
    reader.read(bytes.data() + at, static_cast<std::uint64_t>(part), what);
  }
  reader.expect_end();
  return torch::from_blob(bytes.data(), sizes, torch::kUInt8).clone();
}

class Idx : public LabelledImageDataset {
 public:
  static constexpr ParamSpec kParams[] = {
      path("path", nullptr, "folder with PREFIXtrain-images-idx3-ubyte[.gz] and its siblings").as(Role::data_folder),
      choice("split", "train", "train|test", "test files may be called t10k-... or test-...").as(Role::split),
      text("prefix", "", "what the file names begin with, e.g. \"usps-\""),
      integer("classes", "0", "labels must be below it; 0 takes the largest label and one")
          .as(Role::classes)
          .range(0, 256),
      NMLBENCH_LABELLED_IMAGES_PARAMS,
  };

  using LabelledImageDataset::LabelledImageDataset;

 protected:
  std::vector<std::filesystem::path> files() const override {
    return {file("images", "idx3-ubyte"), file("labels", "idx1-ubyte")};
  }

  std::string choices() const override { return std::to_string(params().integer("classes")); }

  LabelledImages read() override {
    const auto paths = files();
    LabelledImages data;
    FileReader images(paths[0]), labels(paths[1]);
    std::vector<std::int64_t> shape = read_header(images, paths[0], 3, "images");
    const std::vector<std::int64_t> count = read_header(labels, paths[1], 1, "labels");
    if (shape[0] != count[0]) {
      throw DataError(paths[1].string() + ": " + std::to_string(count[0]) + " labels for " + std::to_string(shape[0]) +
                      " images in " + paths[0].string());
    }
    shape.insert(shape.begin() + 1, 1);  // one channel
    data.images = read_bytes(images, shape, "images");
    data.labels = read_bytes(labels, count, "labels").to(torch::kInt64);
    const std::int64_t declared = params().integer("classes");
    const auto largest = data.labels.max().item<std::int64_t>();
    if (declared > 0 && largest >= declared) {
      throw DataError(paths[1].string() + ": row " + std::to_string(data.labels.argmax().item<std::int64_t>()) +
                      " has label " + std::to_string(largest) + ", outside [0, " + std::to_string(declared) + ")");
    }
    data.classes = declared > 0 ? declared : largest + 1;
    return data;
  }

 private:
  // "train-images-idx3-ubyte", which some unpackers call "train-images.idx3-ubyte".
  std::filesystem::path file(const std::string& content, const std::string& format) const {
    std::vector<std::string> names;
    const bool train = params().text("split") == "train";
    for (const char* split : train ? std::vector{"train-"} : std::vector{"t10k-", "test-"}) {
      for (const char* joint : {"-", "."}) names.push_back(params().text("prefix") + split + content + joint + format);
    }
    return find_file(params().path("path"), names);
  }
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-idx", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::Idx>("idx", 1, "IDX files: MNIST, Fashion-MNIST, USPS and kin",
                                                         "http://yann.lecun.com/exdb/mnist"));
