#include "fuzz/targets.h"

#include "config/matrix_spec.h"
#include "datasets/images/decode.h"
#include "datasets/images/resize.h"
#include "fuzz/descriptor.h"
#include "fuzz/seeds.h"
#include "models/text/byte_pair.h"
#include "models/text/word_piece.h"
#include "plan/plan.h"
#include "results/boards/leaderboard.h"
#include "support/datasets.h"
#include "support/no_files.h"
#include "support/weight_files.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

namespace nmlbench::fuzz {
namespace {

namespace fs = std::filesystem;
using testing::Scratch;

fs::path put(const Scratch& scratch, const std::string& name, std::string_view bytes) {
  return scratch.write(name, std::string(bytes));
}

// Everything that a stage reads of a split.
void read_split(const std::string& plugin, const testing::Values& values) {
  const testing::OpenedDataset split(plugin, values);
  const auto labels = split.labels();
  const torch::Tensor rows = torch::arange(std::min<std::int64_t>(split.info.size, 4));
  if (split.info.kind == SampleKind::text) {
    split.dataset->texts(rows);
  } else {
    split.dataset->samples(rows, torch::kCPU);
  }
}

// A matrix cannot send the planner to the disk so.
void matrix(std::string_view bytes, const Scratch&) {
  make_plan(read_matrix({"m.toml", std::string(bytes), {}}), testing::bundled(), testing::NoFiles());
}

void safetensors(std::string_view bytes, const Scratch& scratch) {
  read_weights(put(scratch, "w.safetensors", bytes));
}

void shards_index(std::string_view bytes, const Scratch& scratch) {
  put(scratch, "1.safetensors", safetensors_seeds()[0]);
  read_weights(put(scratch, "w.safetensors.index.json", bytes));
}

void state_dict(std::string_view bytes, const Scratch& scratch) {
  read_weights(put(scratch, "w.pt", bytes));
}

void npy(std::string_view bytes, const Scratch& scratch) {
  const std::string x = put(scratch, "x.npy", bytes).string(), y = put(scratch, "y.npy", npy_labels()).string();
  read_split("features", {{"x", x}, {"y", y}});
}

void npy_labels_file(std::string_view bytes, const Scratch& scratch) {
  const std::string x = put(scratch, "x.npy", npy_seeds()[0]).string(), y = put(scratch, "y.npy", bytes).string();
  read_split("features", {{"x", x}, {"y", y}});
}

void idx(std::string_view bytes, const Scratch& scratch) {
  put(scratch, "train-images-idx3-ubyte", bytes);
  put(scratch, "train-labels-idx1-ubyte", idx_labels());
  read_split("idx", {{"path", scratch.path().string()}});
}

void cifar(std::string_view bytes, const Scratch& scratch) {
  put(scratch, "data_batch_1.bin", bytes);
  read_split("cifar", {{"path", scratch.path().string()}, {"verify", "nothing"}});
}

void tar(std::string_view bytes, const Scratch& scratch) {
  read_split("webdataset", {{"path", put(scratch, "1.tar", bytes).string()}, {"cache", false}});
}

void matlab(std::string_view bytes, const Scratch& scratch) {
  put(scratch, "train_32x32.mat", bytes);
  read_split("svhn", {{"path", scratch.path().string()}, {"verify", "nothing"}});
}

void hdf5(std::string_view bytes, const Scratch& scratch) {
  put(scratch, "usps.h5", bytes);
  read_split("usps", {{"path", scratch.path().string()}, {"split", "test"}, {"verify", "nothing"}});
}

void image(std::string_view bytes, const Scratch&) {
  plugins::DecodeOptions decode;
  decode.max_pixels = 1 << 20;
  plugins::ResizeOptions resize;
  resize.size = 32;
  plugins::decode_and_resize(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), decode, resize);
}

template <const char* ending>
void table(std::string_view bytes, const Scratch& scratch) {
  read_split("text-file", {{"path", put(scratch, ending, bytes).string()}, {"text", "text"}, {"label", "label"}});
}
constexpr char kCsv[] = "t.csv", kTsv[] = "t.tsv", kJsonLines[] = "t.jsonl";

const fs::path kVocabularies = NMLBENCH_SOURCE_DIR "/tests/golden/text";

void sentence(std::string_view bytes, const Scratch&) {
  static const plugins::WordPiece words(kVocabularies / "vocab.txt", true);
  static const plugins::BytePair pairs(kVocabularies / "vocab.json", kVocabularies / "merges.txt", {"<|endoftext|>"});
  static const plugins::ClipBytePair clip(kVocabularies / "clip-merges.txt");
  words.tokens(bytes);
  pairs.tokens(bytes);
  clip.tokens(bytes);
}

void vocabulary(std::string_view bytes, const Scratch& scratch) {
  plugins::WordPiece(put(scratch, "vocab.txt", bytes), true).tokens("An unaffable café, isn't it?");
}

void merges(std::string_view bytes, const Scratch& scratch) {
  const fs::path file = put(scratch, "merges.txt", bytes);
  plugins::ClipBytePair(file).tokens("An unaffable café, isn't it?");
  plugins::BytePair(kVocabularies / "vocab.json", file, {}).tokens("An unaffable café, isn't it?");
}

void vocabulary_json(std::string_view bytes, const Scratch& scratch) {
  plugins::BytePair(put(scratch, "vocab.json", bytes), kVocabularies / "merges.txt", {}).tokens("isn't it?");
}

void database(std::string_view bytes, const Scratch& scratch) {
  for (const auto& entry : fs::directory_iterator(scratch.path())) fs::remove(entry.path());  // also of migrations
  query_leaderboard(Store::open_read_only(put(scratch, "d.sqlite", bytes)), {});
}

const Target kTargets[] = {
    {"matrix", matrix_seeds, matrix},
    {"safetensors", safetensors_seeds, safetensors},
    {"shards-index", shards_index_seeds, shards_index},
    {"state-dict", state_dict_seeds, state_dict},
    {"npy", npy_seeds, npy},
    {"npy-labels", [] { return std::vector<std::string>{npy_labels()}; }, npy_labels_file},
    {"idx", idx_seeds, idx},
    {"cifar", cifar_seeds, cifar},
    {"tar", tar_seeds, tar},
    {"matlab", matlab_seeds, matlab},
    {"hdf5", hdf5_seeds, hdf5},
    {"image", image_seeds, image},
    {"csv", csv_seeds, table<kCsv>},
    {"tsv", tsv_seeds, table<kTsv>},
    {"json-lines", json_lines_seeds, table<kJsonLines>},
    {"sentence", sentence_seeds, sentence},
    {"vocabulary", vocabulary_seeds, vocabulary},
    {"vocabulary-json", vocabulary_json_seeds, vocabulary_json},
    {"merges", merges_seeds, merges},
    {"database", database_seeds, database},
    {"descriptor", descriptor_seeds, descriptor},
};

[[noreturn]] void found(const Target& target, const std::string& what) {
  fmt::print(stderr, "\n{}: {}\n", target.name, what);
  std::abort();
}

void check_message(const Target& target, const std::string& text) {
  const auto unprintable = [](unsigned char c) { return c < 0x20 || c == 0x7F; };
  if (text.empty() || std::any_of(text.begin(), text.end(), unprintable)) {
    found(target, "a message that is not one line that can be printed: " + text);
  }
}

}  // namespace

std::span<const Target> targets() {
  return kTargets;
}

const Target* find_target(std::string_view name) {
  for (const Target& target : kTargets) {
    if (target.name == name) return &target;
  }
  return nullptr;
}

void write_seeds(const Target& target, const fs::path& folder) {
  fs::create_directories(folder);
  int number = 0;
  for (const std::string& bytes : target.seeds()) {
    std::ofstream(folder / fmt::format("seed-{}", number++), std::ios::binary) << bytes;
  }
}

void feed(const Target& target, std::string_view bytes, const Scratch& scratch) {
  try {
    target.read(bytes, scratch);
  } catch (const Error& error) {
    check_message(target, error.what());
  } catch (const plugins::BrokenImage& error) {
    check_message(target, error.what());
  } catch (const std::exception& error) {
    found(target, std::string("an exception that is no Error: ") + error.what());
  }
}

}  // namespace nmlbench::fuzz
