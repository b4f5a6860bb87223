// Nothing damaged is used: bits are flipped in every kind of file that the cache keeps, and a run that finds them ends
// in the rows of an undisturbed one and names each file in its log.
#include "support/damage.h"

#include "cache/artifacts.h"
#include "support/images.h"
#include "support/program.h"
#include "support/tar.h"

#include <nmlbench/random.h>
#include <nmlbench/sealed.h>

#include <algorithm>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

constexpr const char* kMatrix = R"(
[matrix]
name = "damage"
seeds = [0, 1]
[[pretrain]]
encoder = { plugin = "resnet-tiny", width = 4 }
dataset = { plugin = "procedural", split = "pretrain", classes = 4, per_class = 40 }
noise   = { plugin = "symmetric", ratio = 0.3 }
optim   = { epochs = 8, batch_size = 32, lr = 0.05 }
[[task]]
name  = "photos"
train = { plugin = "procedural", classes = 4, per_class = 20 }
[[task.test]]
kind = "id"
data = { plugin = "image-folder", path = "photos", size = 32 }
[[task.test]]
kind = "ood"
name = "shard"
data = { plugin = "webdataset", path = "shard.tar", size = 32, classes = 4 }
[[tuner]]
plugin = "linear-probe"
epochs = 3
lr = [0.01, 0.003]
[[tuner]]
plugin = "mlp"
epochs = 2
lr = [0.01, 0.003]
)";

// A cache with everything in it: a finished checkpoint with features, an unfinished one, measurements, decoded images,
// a shard's index, digests of contents.
class Damage : public ::testing::Test {
 protected:
  static constexpr std::int64_t kImages = 16;

  void SetUp() override {
    write_data();
    ASSERT_NO_FATAL_FAILURE(keep_a_partial());
    while (fs::file_time_type::clock::now() <
           written_ + std::chrono::seconds(5)) {  // data that may change are not kept
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    const Finished calm = run_matrix("calm.sqlite");
    ASSERT_EQ(calm.status, 0) << calm.err;
    make_room_for_work();
    fs::copy(cache_, scratch_ / "whole", fs::copy_options::recursive);
  }

  void write_data() {
    scratch_.write("m.toml", kMatrix);
    std::vector<TarMember> members;
    for (std::int64_t i = 0; i < kImages; ++i) {
      const std::string png =
          png_of(Stream(static_cast<std::uint64_t>(i)).integers({40, 40, 3}, 256).to(torch::kUInt8));
      scratch_.write("photos/" + std::to_string(i % 4) + "/" + std::to_string(i) + ".png", png);
      members.push_back({std::to_string(i) + ".png", png});
      members.push_back({std::to_string(i) + ".cls", std::to_string(i % 4)});
    }
    scratch_.write("shard.tar", tar_of(members));
    written_ = fs::file_time_type::clock::now();
  }

  Finished run_matrix(const std::string& db) const {
    return run(scratch_, {"run", "m.toml", "--threads", "1", "--db", db});
  }

  std::vector<fs::path> files_of(const std::string& folder, const std::string& ending = "") const {
    std::vector<fs::path> files;
    std::error_code absent;
    for (const auto& entry : fs::recursive_directory_iterator(cache_ / folder, absent)) {
      const std::string name = entry.path().filename().string();
      if (entry.is_regular_file() && name.ends_with(ending)) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  // Killed in the middle of pre-training.
  void keep_a_partial() {
    const Program victim(scratch_, {"run", "m.toml", "--threads", "1", "--db", "killed.sqlite"});
    std::vector<fs::path> found;
    for (int i = 0; i < 20000 && (found = files_of("checkpoints", ".partial")).empty(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    victim.signal(SIGKILL);
    const Finished killed = victim.wait();
    ASSERT_EQ(found.size(), 1U) << killed.err;
    partial_ = found[0];
    partial_bytes_ = read_text(partial_);
    ASSERT_TRUE(unsealed("nmlbench-partial/1", partial_bytes_));
  }

  // One checkpoint is unfinished again; of the other one, images have to be encoded.
  void make_room_for_work() {
    const json plan = json::parse(run(scratch_, {"plan", "m.toml", "--json"}).out);
    const auto id_of = [](const json& object) { return object.at("id").get<std::string>(); };
    const std::string unfinished = partial_.stem().string();
    for (const json& checkpoint : plan.at("checkpoints")) {
      if (id_of(checkpoint) != unfinished) finished_ = id_of(checkpoint);
    }
    for (const json& encoding : plan.at("encodings")) {
      const json& checkpoint = plan.at("checkpoints")[encoding.at("checkpoint").get<std::size_t>()];
      const json& split = plan.at("splits")[encoding.at("split").get<std::size_t>()];
      const bool image_files = split.dump().find("procedural") == std::string::npos;
      if (image_files || id_of(checkpoint) == unfinished) fs::remove_all(place("features", id_of(encoding)));
    }
    fs::remove_all(place("checkpoints", unfinished));
    std::ofstream(partial_, std::ios::binary) << partial_bytes_;
  }

  fs::path place(const std::string& kind, const std::string& id) const { return cache_ / kind / id.substr(0, 2) / id; }

  // Files of which a run reads every bit; of each group one may be damaged in a run.
  std::vector<std::vector<fs::path>> groups() const {
    std::vector<fs::path> pixels = files_of("images", ".rows"), sums = files_of("images", ".sums");
    pixels.insert(pixels.end(), sums.begin(), sums.end());
    return {files_of(fs::relative(place("checkpoints", finished_), cache_).string()),
            files_of("features"),
            files_of("measurements"),
            {partial_},
            pixels,
            files_of("images", ".index"),
            files_of("digests")};
  }

  void restore() const {
    fs::remove_all(cache_);
    fs::copy(scratch_ / "whole", cache_, fs::copy_options::recursive);
  }

  std::vector<std::string> noise_of(const std::string& db) const {
    const SQLite::Database database((scratch_ / db).string());
    SQLite::Statement query(database, "SELECT seed || ' ' || realised_rate FROM v_noise ORDER BY 1");
    std::vector<std::string> rows;
    while (query.executeStep()) rows.push_back(query.getColumn(0).getString());
    return rows;
  }

  std::string log_of(const std::string& db) const {
    const SQLite::Database database((scratch_ / db).string());
    SQLite::Statement query(database, "SELECT message FROM v_log");
    std::string lines;
    while (query.executeStep()) lines += query.getColumn(0).getString() + "\n";
    return lines;
  }

  // A run with what is in the cache now gives the undisturbed rows, and mends the cache.
  void expect_calm_rows(const std::string& how) {
    fs::remove(scratch_ / "rough.sqlite");
    const Finished finished = run_matrix("rough.sqlite");
    ASSERT_EQ(finished.status, 0) << how << "\n" << finished.err;
    EXPECT_EQ(result_rows(scratch_ / "rough.sqlite"), result_rows(scratch_ / "calm.sqlite")) << how;
    EXPECT_EQ(noise_of("rough.sqlite"), noise_of("calm.sqlite")) << how;
    const Finished doctor = run(scratch_, {"doctor", "--cache", "--json"});
    EXPECT_EQ(doctor.status, 0) << how << "\n" << doctor.out << doctor.err;
    EXPECT_TRUE(json::parse(doctor.out).at("damage").empty());
  }

  void flip_and_run(int rounds, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    int flips = 0;
    for (int round = 0; round < rounds; ++round) {
      restore();
      std::vector<fs::path> damaged;
      std::string how;
      for (const std::vector<fs::path>& files : groups()) {
        ASSERT_FALSE(files.empty());
        const fs::path& file = files[random() % files.size()];
        const auto bit = static_cast<std::int64_t>(random() % (8 * fs::file_size(file)));
        flip_bit(file, bit);
        damaged.push_back(file);
        how += file.string() + " bit " + std::to_string(bit) + "\n";
        ++flips;
      }
      const Finished doctor = run(scratch_, {"doctor", "--cache"});
      EXPECT_EQ(doctor.status, 1) << how << doctor.err;
      expect_calm_rows(how);
      const std::string log = log_of("rough.sqlite");
      for (const fs::path& file : damaged) {
        fs::path name = file;  // the checksums of images are named like the images
        if (file.extension() == ".sums") name.replace_extension(".rows");
        EXPECT_THAT(doctor.out, HasSubstr(name.string() + ": ")) << how;
        EXPECT_THAT(log, HasSubstr(name.string() + ": ")) << how;
      }
      if (HasFailure()) return;
    }
    std::printf("%d flipped bits, all found\n", flips);
  }

  const Scratch scratch_;
  const fs::path cache_ = scratch_ / "cache";
  fs::file_time_type written_;
  fs::path partial_;
  std::string partial_bytes_, finished_;
};

TEST_F(Damage, OfADozenBitsIsFoundAndMended) {
  flip_and_run(2, 1);
}

TEST_F(Damage, OfTwoHundredBitsIsFoundAndMendedSlow) {
  flip_and_run(29, 2);
}

// Files that are what was written, but not what this program can use.
TEST_F(Damage, IsAlsoWhatDoesNotFit) {
  std::ofstream(partial_, std::ios::binary) << sealed("nmlbench-partial/1", "no archive");
  ArtifactCache cache(cache_);
  const auto found = cache.find(ArtifactKind::checkpoint, finished_);
  ASSERT_TRUE(found);
  const json about = *found->about;
  fs::remove_all(found->folder);
  Staging staging = cache.stage();
  std::ofstream(staging.folder() / "model.safetensors") << "no safetensors";
  cache.publish(ArtifactKind::checkpoint, finished_, std::move(staging), about);
  expect_calm_rows("no archives");
  const std::string log = log_of("rough.sqlite");
  EXPECT_THAT(log, HasSubstr(partial_.string() + ": does not fit the encoder"));
  EXPECT_THAT(log, HasSubstr((found->folder / "model.safetensors").string() + ": is no checkpoint: "));

  // Features are all there now, of checkpoints one is damaged and one gone: nothing has to be trained, and the noise is
  // known all the same.
  flip_bit(place("checkpoints", finished_) / "meta.json", 77);
  fs::remove_all(place("checkpoints", partial_.stem().string()));
  expect_calm_rows("checkpoints that nobody needs");
  const std::string later = log_of("rough.sqlite");
  EXPECT_THAT(later, HasSubstr((place("checkpoints", finished_) / "meta.json").string() + ": "));
  EXPECT_THAT(later, ::testing::Not(HasSubstr("trained resnet-tiny")));
}

}  // namespace
}  // namespace nmlbench::testing
