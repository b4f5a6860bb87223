#include "fuzz/seeds.h"

#include "integration/matrices.h"
#include "support/hdf5_file.h"
#include "support/images.h"
#include "support/mat_file.h"
#include "support/npy.h"
#include "support/safetensors.h"
#include "support/scratch.h"
#include "support/synthetic_results.h"
#include "support/tar.h"

#include <filesystem>

#include <SQLiteCpp/SQLiteCpp.h>

namespace nmlbench::fuzz {
namespace {

namespace fs = std::filesystem;
using testing::read_text;
using testing::Scratch;

const fs::path kTests = NMLBENCH_SOURCE_DIR "/tests";

torch::Tensor picture(std::int64_t side) {
  return torch::arange(side * side * 3).remainder(251).to(torch::kUInt8).view({side, side, 3});
}

}  // namespace

Seeds matrix_seeds() {
  Seeds seeds = {testing::kTiny, testing::kFrozen};
  for (const auto& entry : fs::directory_iterator(NMLBENCH_SOURCE_DIR "/matrices")) {
    const std::string text = read_text(entry.path());
    if (text.find("zero_shot") == std::string::npos) seeds.push_back(text);  // whose data have captions
  }
  return seeds;
}

Seeds safetensors_seeds() {
  testing::SafetensorsFile file;
  file.add("fc.weight", torch::arange(6.0).view({2, 3}));
  file.add("fc.bias", torch::arange(2.0).to(torch::kHalf), "F16");
  return {file.bytes()};
}

Seeds shards_index_seeds() {
  return {R"({"metadata":{"total_size":28},"weight_map":{"fc.weight":"1.safetensors","fc.bias":"1.safetensors"}})"};
}

Seeds state_dict_seeds() {
  Seeds seeds;
  for (const char* name : {"zip.pt", "legacy.pt", "training.pt", "parameter.pt"}) {
    seeds.push_back(read_text(kTests / "golden/weights" / name));
  }
  return seeds;
}

Seeds npy_seeds() {
  const torch::Tensor x = torch::arange(24.0).view({6, 4});
  return {testing::npy_bytes(x, "<f4"), testing::npy_bytes(x.to(torch::kFloat64), "<f8", /*fortran=*/true)};
}

std::string npy_labels() {
  return testing::npy_bytes(torch::arange(6).remainder(3), "<i8");
}

Seeds idx_seeds() {
  return {std::string("\0\0\x08\x03\0\0\0\x03\0\0\0\x04\0\0\0\x04", 16) + std::string(48, '\x55')};
}

std::string idx_labels() {
  return std::string("\0\0\x08\x01\0\0\0\x03\0\x01\x02", 11);
}

Seeds cifar_seeds() {
  return {"\x01" + std::string(3072, '\x40') + "\x02" + std::string(3072, '\x41')};
}

Seeds tar_seeds() {
  const std::string jpeg = testing::jpeg_of(picture(8));
  const std::vector<testing::TarMember> members = {
      {"a/0.jpg", jpeg}, {"a/0.cls", "0"}, {"a/1.jpg", jpeg}, {"a/1.cls", "1"}};
  return {testing::tar_of(members), testing::tar_of(members, /*pax=*/true)};
}

Seeds matlab_seeds() {
  const Scratch scratch;
  {
    testing::MatFile file(scratch / "x.mat");
    file.bytes("X", torch::full({2, 3, 32, 32}, 9, torch::kUInt8), {32, 32, 3, 2});
    file.numbers("y", {10, 4});
  }
  return {read_text(scratch / "x.mat")};
}

Seeds hdf5_seeds() {
  const Scratch scratch;
  testing::write_hdf5(scratch / "x.h5", "/test/data", torch::full({3, 256}, 0.5F));
  testing::write_hdf5(scratch / "x.h5", "/test/target", torch::tensor({9, 0, 3}, torch::kInt32));
  return {read_text(scratch / "x.h5")};
}

Seeds image_seeds() {
  using namespace std::string_literals;
  return {
      testing::jpeg_of(picture(16)), testing::png_of(picture(8)),
      testing::png_bytes(std::string(16, '\x20'), 4, 4, SPNG_COLOR_TYPE_GRAYSCALE),
      // a GIF of one white pixel, a BMP of 2 x 2, a lossless WebP of one
      "GIF89a\1\0\1\0\x80\0\0\xFF\xFF\xFF\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"s,
      "BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\2\0\0\0\2\0\0\0\1\0\x18\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"s +
          std::string(16, '\x30'),
      "RIFF\x1A\0\0\0WEBPVP8L\x0D\0\0\0/\0\0\0\x10\x07\x10\x11\x11\x88\x88\xFE\x07\0"s};
}

Seeds csv_seeds() {
  return {"text,label\n\"so, \"\"good\"\"\",1\nbad,0\n"};
}

Seeds tsv_seeds() {
  return {"text\tlabel\nso good\t1\nbad\t0\n"};
}

Seeds json_lines_seeds() {
  return {"{\"text\": \"so good\\u00e9\", \"label\": 1}\n{\"text\": \"bad\", \"label\": 0}\n"};
}

Seeds sentence_seeds() {
  return {"An unaffable café, isn't it?", "你好, [MASK] 1,000 <|endoftext|> ﬁne  naïve\tx"};
}

Seeds vocabulary_seeds() {
  return {"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nan\nun\n##aff\n##able\ncafe\n,\nit\n"};
}

Seeds vocabulary_json_seeds() {
  return {read_text(kTests / "golden/text/vocab.json")};
}

Seeds merges_seeds() {
  const std::string all = read_text(kTests / "golden/text/merges.txt");
  return {all.substr(0, all.find('\n', 200) + 1)};
}

Seeds database_seeds() {
  const Scratch scratch;
  const fs::path old = scratch / "old.sqlite";
  testing::write_synthetic(
      scratch / "d.sqlite",
      {.tasks = 1, .seeds = 2, .tuners = 2, .ratios = {0.0}, .ood_sets = 1, .metrics = {"accuracy"}});
  SQLite::Database((scratch / "d.sqlite").string(), SQLite::OPEN_READWRITE).exec("PRAGMA journal_mode = DELETE");
  // of the first schema, which reading migrates
  SQLite::Database(old.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE)
      .exec(read_text(kTests / "unit/results/version1.sql"));
  return {read_text(scratch / "d.sqlite"), read_text(old)};
}

}  // namespace nmlbench::fuzz
