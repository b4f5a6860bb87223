// One checkpoint trained by two processes: losses and weights of one process with the same batches, whoever dies.
#include "integration/matrices.h"
#include "support/program.h"
#include "support/weight_files.h"

#include <cmath>
#include <functional>
#include <memory>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>

namespace nmlbench::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// One noisy checkpoint and one probe. Of 160 samples, batches of 81 make one step an epoch, whose losses are those of
// the steps, and no equal shares; what is left over of an epoch is left out.
std::string one_checkpoint(const std::string& encoder, const std::string& dataset, const std::string& noise,
                           const std::string& optim, int epochs = 6) {
  std::string text = kTiny;
  text.erase(text.find("[[tuner]]\nplugin = \"mlp\""));
  const auto set = [&](const std::string& line, const std::string& value) {
    const std::size_t at = text.find(line);
    text.replace(at, text.find('\n', at) - at, value);
  };
  set("seeds =", "seeds = [0]");
  set("encoder =", "encoder = { " + encoder + " }");
  set("dataset =",
      "dataset = { plugin = \"procedural\", split = \"pretrain\", classes = 4, per_class = 40" + dataset + " }");
  set("noise   =", "noise = { " + noise + " }");
  set("optim   =", "optim = { epochs = " + std::to_string(epochs) + ", batch_size = 81, " + optim + " }");
  return text;
}

std::string resnet() {
  return one_checkpoint(
      "plugin = \"resnet-tiny\", width = 8", "", "plugin = \"symmetric\", ratio = 0.3",
      "lr = 0.05, clip = 1, augment = \"crop-flip\", jitter = 0.4, mixup = 0.4, cutmix = 1, random_erasing = 0.3, "
      "label_smoothing = 0.1");
}
std::string vit() {
  return one_checkpoint("plugin = \"vit\", variant = \"vit_tiny\", size = 32, patch = 8, drop_path = 0.3", "",
                        "plugin = \"symmetric\", ratio = 0.3",
                        "name = \"lamb\", lr = 0.002, rand_ops = 2, loss = \"bce\", ema = 0.9", 3);
}
std::string clip() {
  return one_checkpoint("plugin = \"clip-tiny\", width = 8", ", captions = true",
                        "plugin = \"caption-drop\", ratio = 0.3", "lr = 0.01, clip = 1, augment = \"shift-flip\"");
}

std::uint16_t free_port() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ::bind(descriptor, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(descriptor);
  return ::ntohs(address.sin_port);
}

// Started as torchrun does.
class Processes {
 public:
  // `of_last`: options of the last one alone.
  Processes(const Scratch& scratch, int size, const std::vector<std::string>& more = {},
            const std::vector<std::string>& of_last = {}) {
    std::vector<std::string> command = {"pretrain", "m.toml", "--launcher", "torchrun"};
    command.insert(command.end(), more.begin(), more.end());
    ::setenv("MASTER_ADDR", "127.0.0.1", 1);
    ::setenv("MASTER_PORT", std::to_string(free_port()).c_str(), 1);
    ::setenv("WORLD_SIZE", std::to_string(size).c_str(), 1);
    ::setenv("GLOO_SOCKET_IFNAME", "lo", 1);
    for (int rank = 0; rank < size; ++rank) {
      ::setenv("RANK", std::to_string(rank).c_str(), 1);
      ::setenv("LOCAL_RANK", std::to_string(rank).c_str(), 1);
      if (rank == size - 1) command.insert(command.end(), of_last.begin(), of_last.end());
      all_.push_back(std::make_unique<Program>(scratch, command, "rank" + std::to_string(rank) + "-"));
    }
    for (const char* name : {"MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK", "LOCAL_RANK"}) ::unsetenv(name);
  }

  const Program& operator[](std::size_t rank) const { return *all_[rank]; }
  std::vector<Finished> wait() const {
    std::vector<Finished> finished;
    for (const auto& process : all_) finished.push_back(process->wait());
    return finished;
  }

 private:
  std::vector<std::unique_ptr<Program>> all_;
};

// The one in a test's cache.
struct TrainedCheckpoint {
  std::string id;
  json metadata;
  std::vector<double> losses;
  std::map<std::string, std::vector<float>> tensors;

  explicit TrainedCheckpoint(const Scratch& scratch) {
    for (const auto& entry : fs::recursive_directory_iterator(scratch / "cache")) {
      if (entry.path().filename() != "model.safetensors") continue;
      EXPECT_TRUE(id.empty());
      id = entry.path().parent_path().filename();
      const std::string bytes = read_text(entry.path());
      std::uint64_t length = 0;
      std::memcpy(&length, bytes.data(), sizeof length);
      metadata = json::parse(bytes.substr(8, length)).at("__metadata__");
      losses = json::parse(metadata.at("loss_curve").get<std::string>()).get<std::vector<double>>();
      for (const StoredTensor& tensor : read_weights(entry.path())) {
        if (tensor.type != ElementType::f32) continue;
        const auto* values = reinterpret_cast<const float*>(tensor.data.get());
        tensors[tensor.name].assign(values, values + element_count(tensor.sizes).value());
      }
    }
    EXPECT_FALSE(id.empty());
  }
};

// Largest difference of two tensors, relative to the largest value. What training moves by less than a hundredth counts
// as one.
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, size = 1e-2;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference = std::max(difference, std::abs(static_cast<double>(a[i]) - b[i]));
    size = std::max(size, std::abs(static_cast<double>(a[i])));
  }
  return difference / size;
}

class TrainTogether : public ::testing::Test {
 protected:
  void SetUp() override {
    const Scratch scratch;
    const Finished asked = run(scratch, {"pretrain", "--launcher", "torchrun"});
    if (asked.err.find("Gloo's headers") != std::string::npos) GTEST_SKIP() << asked.err;
  }

  // Rounding alone: one process on two threads instead of one is off by as much after these steps.
  void expect_those_of_one_process(const std::string& matrix) const {
    constexpr double kFirstLoss = 1e-6, kLosses = 2e-5, kWeights = 1e-2;
    const Scratch alone, shared;
    alone.write("m.toml", matrix);
    shared.write("m.toml", matrix);
    const Finished one = run(alone, {"run", "m.toml"});
    ASSERT_EQ(one.status, 0) << one.err;
    for (const Finished& finished : Processes(shared, 2).wait()) ASSERT_EQ(finished.status, 0) << finished.err;
    const TrainedCheckpoint expected(alone), got(shared);
    EXPECT_EQ(got.id, expected.id);
    EXPECT_EQ(got.metadata.value("processes", ""), "2");
    EXPECT_FALSE(expected.metadata.contains("processes"));
    ASSERT_EQ(got.losses.size(), expected.losses.size());
    double worst_loss = 0, worst_weight = 0;
    for (std::size_t i = 0; i < expected.losses.size(); ++i) {
      worst_loss = std::max(worst_loss, std::abs(got.losses[i] / expected.losses[i] - 1));
    }
    ASSERT_EQ(got.tensors.size(), expected.tensors.size());
    for (const auto& [name, values] : expected.tensors) {
      ASSERT_EQ(got.tensors.at(name).size(), values.size());
      worst_weight = std::max(worst_weight, distance(values, got.tensors.at(name)));
    }
    EXPECT_NEAR(got.losses[0] / expected.losses[0], 1, kFirstLoss);
    EXPECT_LT(worst_loss, kLosses);
    EXPECT_LT(worst_weight, kWeights);
    EXPECT_GT(std::abs(expected.losses.back() / expected.losses[0] - 1), 100 * kLosses);  // it did learn something
  }

  static bool wait_until(const std::function<bool()>& condition) {
    for (int i = 0; i < 12000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }

  bool has_partial() const {
    std::error_code ignored;
    for (const auto& entry : fs::recursive_directory_iterator(scratch_ / "cache", ignored)) {
      if (entry.path().extension() == ".partial") return true;
    }
    return false;
  }

  Scratch scratch_;
};

TEST_F(TrainTogether, AResNetHasTheLossesAndWeightsOfOneProcess) {
  expect_those_of_one_process(resnet());
}
TEST_F(TrainTogether, AVisionTransformerHasTheLossesAndWeightsOfOneProcess) {
  expect_those_of_one_process(vit());
}
TEST_F(TrainTogether, AClipHasTheLossesAndWeightsOfOneProcess) {
  expect_those_of_one_process(clip());
}

TEST_F(TrainTogether, RunGoesOnFromTheirCheckpoint) {
  scratch_.write("m.toml", resnet());
  const std::vector<Finished> first = Processes(scratch_, 2).wait();
  EXPECT_EQ(first[0].status, 0) << first[0].err;
  EXPECT_EQ(first[1].status, 0) << first[1].err;
  EXPECT_THAT(first[0].err, HasSubstr("1 checkpoints trained by 2 processes, 0 failed, 0 known before, 0 left"));
  EXPECT_EQ(first[1].err, "");
  const std::vector<Finished> second = Processes(scratch_, 2).wait();
  EXPECT_THAT(second[0].err, HasSubstr("0 checkpoints trained by 2 processes, 0 failed, 1 known before"));
  const Finished run_after = run(scratch_, {"run", "m.toml"});
  EXPECT_EQ(run_after.status, 0) << run_after.err;
  EXPECT_THAT(run_after.err, Not(HasSubstr("trained resnet-tiny")));
}

TEST_F(TrainTogether, AKilledProcessEndsTheOthersAndTheSameCommandGoesOn) {
  const std::vector<std::string> longer = {"--set", "pretrain.optim.epochs=60"};
  Scratch whole;
  whole.write("m.toml", resnet());
  for (const Finished& finished : Processes(whole, 2, longer).wait()) ASSERT_EQ(finished.status, 0) << finished.err;

  scratch_.write("m.toml", resnet());
  {
    const Processes processes(scratch_, 2, longer);
    ASSERT_TRUE(wait_until([&] { return has_partial(); }));
    processes[1].signal(SIGKILL);
    const std::vector<Finished> finished = processes.wait();
    EXPECT_EQ(finished[0].status, 2);
    EXPECT_THAT(finished[0].err, AllOf(HasSubstr("nmlbench: error: process 1 of 2 has lost another one"),
                                       HasSubstr("the same command goes on after the last epoch")));
  }
  const std::vector<Finished> again = Processes(scratch_, 2, longer).wait();
  ASSERT_EQ(again[0].status, 0) << again[0].err;
  ASSERT_EQ(again[1].status, 0) << again[1].err;
  EXPECT_THAT(again[0].err, HasSubstr("resumes after epoch"));
  const TrainedCheckpoint expected(whole), got(scratch_);
  EXPECT_EQ(got.losses, expected.losses);
  EXPECT_EQ(got.tensors, expected.tensors);
}

TEST_F(TrainTogether, AnInterruptedProcessEndsTheOthers) {
  scratch_.write("m.toml", resnet());
  const Processes processes(scratch_, 2, {"--set", "pretrain.optim.epochs=100000"});
  ASSERT_TRUE(wait_until([&] { return has_partial(); }));
  processes[1].signal(SIGINT);
  const std::vector<Finished> finished = processes.wait();
  EXPECT_EQ(finished[1].status, 130) << finished[1].err;
  EXPECT_EQ(finished[0].status, 2) << finished[0].err;
  EXPECT_THAT(finished[0].err, HasSubstr("process 1 of 2 has lost another one"));
}

TEST_F(TrainTogether, WhatDivergesFailsInAllOfThem) {
  scratch_.write("m.toml", resnet());
  const std::vector<Finished> finished =
      Processes(scratch_, 2,
                {"--set", "pretrain.optim.lr=1e3", "--set", "pretrain.optim.weight_decay=1e3", "--set",
                 "pretrain.optim.clip=0", "--set", "pretrain.optim.epochs=30"})
          .wait();
  EXPECT_EQ(finished[0].status, 1) << finished[0].err;
  EXPECT_EQ(finished[1].status, 1) << finished[1].err;
  EXPECT_THAT(finished[0].err, AllOf(HasSubstr("pre-training diverged"), HasSubstr("1 failed")));
}

TEST_F(TrainTogether, ProcessesThatPlanOtherwiseAreToldSo) {
  scratch_.write("m.toml", resnet());
  const std::vector<Finished> finished = Processes(scratch_, 2, {}, {"--set", "pretrain.optim.lr=0.04"}).wait();
  EXPECT_EQ(finished[1].status, 2);
  EXPECT_THAT(finished[1].err, HasSubstr("process 2 of 2 has planned other checkpoints"));
  EXPECT_EQ(finished[0].status, 2);
  EXPECT_THAT(finished[0].err, HasSubstr("process 1 of 2 has lost another one"));
}

// A stranger's encoder of texts: it runs here only when it may, and does not say that processes can share its steps.
TEST_F(TrainTogether, EncodersThatDoNotPromiseItAreLeftForRun) {
  std::string lines = "text,label\n";
  for (int i = 0; i < 64; ++i) lines += i % 2 == 0 ? "abab,0\n" : "nono,1\n";
  scratch_.write("t.csv", lines);
  scratch_.write("m.toml", R"(
[matrix]
name = "texts"
seeds = [0]
[[pretrain]]
encoder = { plugin = "tiny-texts" }
dataset = { plugin = "text-file", path = "t.csv" }
noise   = { plugin = "symmetric", ratio = 0.2 }
optim   = { epochs = 1, batch_size = 16 }
[[task]]
name = "letters"
train = { plugin = "text-file", path = "t.csv" }
[[task.test]]
kind = "id"
data = { plugin = "text-file", path = "t.csv" }
[[tuner]]
plugin = "linear-probe"
)");
  const std::vector<std::string> plugin = {"--plugin-dir", NMLBENCH_TEST_PLUGIN_DIR "/tiny_texts"};
  const Finished isolated = Processes(scratch_, 1, plugin).wait()[0];
  EXPECT_EQ(isolated.status, 2);
  EXPECT_THAT(isolated.err, HasSubstr("allow it by --isolate none"));
  const std::vector<Finished> left = Processes(scratch_, 2, {plugin[0], plugin[1], "--isolate", "none"}).wait();
  EXPECT_EQ(left[0].status, 0) << left[0].err;
  EXPECT_EQ(left[1].status, 0) << left[1].err;
  EXPECT_THAT(left[0].err, AllOf(HasSubstr("m.toml:6"),
                                 HasSubstr("is left for `run`: processes cannot share its training: "
                                           "it does not say that they can"),
                                 HasSubstr("1 left for `run`")));
}

TEST_F(TrainTogether, WhatIsMissingIsNamed) {
  scratch_.write("m.toml", resnet());
  const auto expect_refused = [&](const std::vector<std::string>& command, const std::string& why) {
    const Finished finished = run(scratch_, command);
    EXPECT_EQ(finished.status, 2);
    EXPECT_THAT(finished.err, HasSubstr(why));
  };
  expect_refused({"pretrain", "m.toml"}, "--launcher is required");
  expect_refused({"pretrain", "m.toml", "--launcher", "torchrun"}, "WORLD_SIZE is not set");
  expect_refused({"pretrain", "m.toml", "--launcher", "slurm"}, "SLURM_NTASKS is not set");
  const std::vector<Finished> many = Processes(scratch_, 2, {"--set", "pretrain.optim.batch_size=2"}).wait();
  EXPECT_THAT(many[0].err, HasSubstr("a batch of 2 samples is too small for 2 processes"));
}

}  // namespace
}  // namespace nmlbench::testing
