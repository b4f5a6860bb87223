// Several processes that share a run: the rows of one process, whoever of them dies.
#include "integration/matrices.h"
#include "support/process_owner.h"
#include "support/program.h"

#include <functional>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

// Heads, grids and a fine-tuning, on four checkpoints.
std::string everything() {
  std::string text = kTiny;
  text +=
      "[[tuner]]\nplugin = \"linear-probe\"\nepochs = 4\nlr = [0.1, 0.001]\n"
      "[[tuner]]\nplugin = \"full-finetune\"\nepochs = 2\nbatch_size = 32\nlr = 0.003\n"
      "[selection]\nover = [\"lr\"]\n";
  return text;
}

class Workers : public ::testing::Test {
 protected:
  fs::path db(const std::string& name = "nmlbench.sqlite") const { return scratch_ / name; }
  fs::path folder() const { return scratch_ / "nmlbench.sqlite.workers"; }

  // What one process finds, in a folder of its own.
  static std::map<std::string, double> rows_of_one(const std::string& matrix,
                                                   const std::vector<std::string>& more = {}) {
    const Scratch alone;
    alone.write("m.toml", matrix);
    std::vector<std::string> command = {"run", "m.toml"};
    command.insert(command.end(), more.begin(), more.end());
    EXPECT_EQ(run(alone, command).status, 0);
    return result_rows(alone / "nmlbench.sqlite");
  }

  // The process that has a lease of the run.
  std::optional<pid_t> owner_of(const std::string& lease) const {
    const auto content = nlohmann::json::parse(read_text(folder() / "leases" / lease), nullptr, false);
    return content.is_object() ? std::optional(static_cast<pid_t>(content.at("pid").get<std::int64_t>()))
                               : std::nullopt;
  }
  std::set<std::string> names_in(const std::string& part) const {
    std::set<std::string> names;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder() / part, error)) {
      names.insert(entry.path().filename().string());
    }
    return names;
  }
  static bool wait_until(const std::function<bool()>& condition) {
    for (int i = 0; i < 3000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
  }

  Scratch scratch_;
};

TEST_F(Workers, GetTheRowsOfASingleProcess) {
  scratch_.write("m.toml", everything());
  const Finished shared = run(scratch_, {"run", "m.toml", "--workers", "2", "--threads", "2"});
  ASSERT_EQ(shared.status, 0) << shared.err;
  EXPECT_THAT(shared.err, HasSubstr("20 cells done, 0 failed, 0 known before"));
  EXPECT_THAT(shared.out, HasSubstr("full-finetune"));
  EXPECT_FALSE(fs::exists(folder()));
  EXPECT_EQ(result_rows(db()), rows_of_one(everything()));
  EXPECT_EQ(count(db(), "SELECT count(*) FROM v_log WHERE message LIKE 'trained resnet-tiny%'"), 4);
  EXPECT_EQ(count(db(), "SELECT count(*) FROM v_noise"), 4);
  EXPECT_EQ(count(db(), "SELECT count(*) FROM runs"), 2);
  EXPECT_EQ(count(db(), "SELECT count(*) FROM v_selection WHERE chosen"), 4);
  EXPECT_EQ(count(db(), "SELECT count(DISTINCT checkpoint_id) FROM v_alignment"), 2);

  const Finished again = run(scratch_, {"run", "m.toml", "--workers", "2"});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("0 cells done, 0 failed, 20 known before"));
}

TEST_F(Workers, WhatAKilledOneLeavesIsTakenUpSlow) {
  const std::vector<std::string> slow = {"--set", "pretrain.optim.epochs=25"};
  scratch_.write("m.toml", kTiny);
  const Program team(scratch_, {"run", "m.toml", "--workers", "2", "--threads", "2", slow[0], slow[1]});
  // the second epoch is in the cache when the third is over
  ASSERT_TRUE(
      wait_until([&] { return read_text(folder() / "said-1.json").find("epoch 3 of 25") != std::string::npos; }));
  const std::optional<pid_t> victim = owner_of("worker-1");
  ASSERT_TRUE(victim);
  ::kill(*victim, SIGKILL);
  const Finished finished = team.wait();
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.err, AllOf(HasSubstr("worker 1 was ended by signal 9"), HasSubstr("12 cells done, 0 failed")));
  EXPECT_EQ(result_rows(db()), rows_of_one(kTiny, slow));
  EXPECT_GE(count(db(), "SELECT count(*) FROM v_log WHERE message LIKE '%resumes after epoch%'"), 1);
}

TEST_F(Workers, AreStoppedAfterAnEpochAndTheSameCommandGoesOnSlow) {
  scratch_.write("m.toml", kTiny);
  const std::vector<std::string> slow = {"--set", "pretrain.optim.epochs=25"};
  const std::vector<std::string> command = {"run", "m.toml", "--workers", "2", "--threads", "2", slow[0], slow[1]};
  const Program first(scratch_, command);
  ASSERT_TRUE(wait_until([&] { return fs::exists(folder() / "said-1.json"); }));
  first.signal(SIGINT);
  const Finished stopped = first.wait();
  EXPECT_EQ(stopped.status, 130);
  EXPECT_THAT(stopped.err, AllOf(HasSubstr("the same command goes on"), Not(HasSubstr("ended by signal"))));
  EXPECT_FALSE(fs::exists(folder()));
  const Finished second = run(scratch_, command);
  EXPECT_EQ(second.status, 0) << second.err;
  EXPECT_GE(count(db(), "SELECT count(*) FROM v_log WHERE message LIKE '%resumes after epoch%'"), 1);
  EXPECT_EQ(result_rows(db()), rows_of_one(kTiny, slow));
}

TEST_F(Workers, AreStoppedAtOnceByASecondSignalAndEndWithTheirParent) {
  scratch_.write("m.toml", kTiny);
  const std::vector<std::string> command = {"run", "m.toml", "--workers", "2", "--set", "pretrain.optim.epochs=2000"};
  for (const bool kill_parent : {false, true}) {
    const Program team(scratch_, command);
    ASSERT_TRUE(
        wait_until([&] { return owner_of("worker-1") && owner_of("worker-2") && !names_in("leases").empty(); }));
    const std::vector<pid_t> workers = {owner_of("worker-1").value(), owner_of("worker-2").value()};
    if (kill_parent) {
      team.signal(SIGKILL);
    } else {
      team.signal(SIGINT);
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      team.signal(SIGINT);
    }
    team.wait();
    for (const pid_t worker : workers) EXPECT_TRUE(wait_until([&] { return ::kill(worker, 0) != 0; }));
  }
}

// As under a scheduler: nobody is their parent, and merging is a step of its own.
TEST_F(Workers, NeedNoParent) {
  scratch_.write("m.toml", kTiny);
  const Program first(scratch_, {"run", "m.toml", "--worker", "1/2", "--threads", "1"}, "first-");
  ASSERT_TRUE(wait_until([&] { return !names_in("leases").empty(); }));
  const Program second(scratch_, {"run", "m.toml", "--worker", "2/2", "--threads", "1"}, "second-");
  ASSERT_TRUE(wait_until([&] { return names_in("done").size() > 0; }));
  const Finished status = run(scratch_, {"status"});
  EXPECT_EQ(status.status, 0) << status.err;
  EXPECT_THAT(status.out, AllOf(HasSubstr("stages: "), HasSubstr("alive worker 1/2 (")));
  EXPECT_THAT(status.out,
              AllOf(HasSubstr("workers say what follows"), ContainsRegex("since [^ ]+: .*: [0-9.k]+ of [0-9.k]+ ")));
  EXPECT_THAT(run(scratch_, {"merge", "nmlbench.sqlite"}).err, HasSubstr("still running: worker "));
  for (const Program* worker : {&first, &second}) {
    const Finished finished = worker->wait();
    EXPECT_EQ(finished.status, 0) << finished.err;
    EXPECT_THAT(finished.err, HasSubstr("nmlbench merge nmlbench.sqlite"));
  }
  EXPECT_FALSE(fs::exists(db()));
  const auto after = nlohmann::json::parse(run(scratch_, {"status", "--json"}).out);
  EXPECT_EQ(after.at("done"), 12);
  EXPECT_TRUE(after.at("workers").empty());
  for (const auto& stage : after.at("stages")) EXPECT_EQ(stage.at("state"), "finished") << stage;
  const Finished merged = run(scratch_, {"merge", "nmlbench.sqlite"});
  EXPECT_EQ(merged.status, 0) << merged.err;
  EXPECT_THAT(merged.out, HasSubstr("12 cells added"));
  EXPECT_EQ(result_rows(db()), rows_of_one(kTiny));
  const Finished idle = run(scratch_, {"status"});
  EXPECT_EQ(idle.status, 0) << idle.err;
  EXPECT_THAT(idle.out, AllOf(HasSubstr("what they did is merged"), HasSubstr("nobody is at work in the cache")));
  const Finished unknown = run(scratch_, {"status", "--db", "other.sqlite"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.err, HasSubstr("no workers share a run into other.sqlite"));
}

// Cells that fail are told while their stage is still running: whoever waits for its end waits for hours.
TEST_F(Workers, SayWhatFailsWhileTheirStageRuns) {
  const std::string matrix = kTiny;
  scratch_.write("m.toml", matrix.substr(0, matrix.find("[[tuner]]")) +
                               "[[tuner]]\nplugin = \"predicts-nan\"\nlr = [5.0, 0.2]\n"
                               "[[tuner]]\nplugin = \"nmtune\"\nepochs = 100000\n");
  const Program worker(scratch_, {"run", "m.toml", "--worker", "1/1", "--threads", "1", "--plugin-dir",
                                  NMLBENCH_TEST_PLUGIN_DIR "/misbehaving"});
  const auto said = [&] {
    const auto text = nlohmann::json::parse(read_text(folder() / "said-1.json"), nullptr, false);
    return text.is_object() ? text.value("progress", "") : std::string();
  };
  const bool told = wait_until([&] { return said().find(" cells failed: ") != std::string::npos; });
  EXPECT_TRUE(told) << said();
  EXPECT_THAT(run(scratch_, {"status"}).out, HasSubstr(" cells failed: "));
  worker.signal(SIGKILL);
  worker.wait();
}

// A run without workers has no folder; what it computes for the cache has leases there.
TEST_F(Workers, StatusOfARunWithoutThemSaysWhoIsAtWorkInTheCache) {
  scratch_.write("m.toml", kTiny);
  const Program alone(scratch_, {"run", "m.toml", "--set", "pretrain.optim.epochs=100000"}, "alone-");
  const fs::path leases = scratch_ / "cache" / "leases";
  ASSERT_TRUE(wait_until([&] {
    std::error_code error;
    return fs::directory_iterator(leases, error) != fs::directory_iterator() && !error;
  }));
  const Finished status = run(scratch_, {"status"});
  EXPECT_EQ(status.status, 0) << status.err;
  EXPECT_THAT(status.out,
              AllOf(HasSubstr("no workers share a run"), HasSubstr("at work in the cache"), HasSubstr("process ")));
  EXPECT_EQ(nlohmann::json::parse(run(scratch_, {"status", "--json"}).out).at("cache").empty(), false);
  alone.signal(SIGKILL);
  alone.wait();
  const Finished after = run(scratch_, {"status"});
  EXPECT_EQ(after.status, 0) << "the database is there: " << after.err;
  EXPECT_THAT(after.out, HasSubstr("nobody is at work in the cache"));
}

// The machine of a worker is gone: its lease is there, and nobody touches it.
TEST_F(Workers, TakeUpWhatAnotherMachineLeft) {
  scratch_.write("m.toml", kTiny);
  ProcessOwner gone = this_process("worker 2/2");
  gone.host = "gone";
  gone.machine = "another one";
  const Program worker(scratch_, {"run", "m.toml", "--worker", "1/2"});
  ASSERT_TRUE(wait_until([&] { return fs::exists(folder() / "stages.json"); }));
  const auto stages = nlohmann::json::parse(read_text(folder() / "stages.json"));
  std::string last;
  for (const auto& stage : stages) {
    if (stage.at("cells") > 0) last = stage.at("id").get<std::string>();
  }
  const fs::path lease = folder() / "leases" / last;
  scratch_.write("nmlbench.sqlite.workers/leases/" + last, nlohmann::json(gone).dump());
  ASSERT_TRUE(wait_until([&] { return names_in("done").size() + 1 == stages.size(); }));  // all but it
  EXPECT_THAT(run(scratch_, {"status"}).out,
              AllOf(HasSubstr("running   tune general"), HasSubstr("worker 2/2 (gone,")));
  EXPECT_TRUE(fs::exists(lease));
  fs::last_write_time(lease, fs::file_time_type::clock::now() - std::chrono::seconds(70));
  EXPECT_EQ(worker.wait().status, 0);
  ASSERT_EQ(run(scratch_, {"merge", "nmlbench.sqlite"}).status, 0);
  EXPECT_EQ(count(db(), "SELECT count(*) FROM cells WHERE status = 'done'"), 12);
}

// Each checkpoint has four splits to encode; a training that fails is not tried again for each of them.
TEST_F(Workers, AFailedTrainingFailsItsCellsOnce) {
  scratch_.write("m.toml", kTiny);
  const Finished finished =
      run(scratch_, {"run", "m.toml", "--workers", "2", "--set", "pretrain.optim.batch_size=[32, 1000]"});
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, AllOf(HasSubstr("12 cells done, 12 failed"),
                                  HasSubstr("12 cells failed: optim.batch_size 1000 is larger")));
  EXPECT_EQ(count(db(),
                  "SELECT count(*) FROM v_log WHERE level = 'error' AND message LIKE 'resnet-tiny: optim.batch_size "
                  "1000 is larger%'"),
            4);
  std::map<std::string, double> rows = result_rows(db());
  EXPECT_EQ(rows, rows_of_one(kTiny));
  const Finished again =
      run(scratch_, {"run", "m.toml", "--workers", "2", "--set", "pretrain.optim.batch_size=[32, 1000]"});
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.err, AllOf(HasSubstr("0 cells done, 0 failed, 24 known before"), HasSubstr("--retry-failed")));
}

// What Slurm is given, without Slurm (tests/slurm has a real one). A matrix's name is anybody's text.
TEST_F(Workers, AreSubmittedByScriptsThatABashReads) {
  std::string matrix = kTiny;
  matrix.replace(matrix.find("\"tiny\""), 6, "\"x\\ntouch hacked\"");
  scratch_.write("it's.toml", matrix);
  const Finished finished = run(scratch_, {"submit", "it's.toml", "--slurm", "--array", "4", "--gres", "gpu:1",
                                           "--time", "2:00:00", "--sbatch=--account=x", "--retry-failed", "--dry-run"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const fs::path scripts = scratch_ / "nmlbench.sqlite.slurm";
  EXPECT_EQ(finished.out, (scripts / "tasks.sh").string() + "\n" + (scripts / "merge.sh").string() + "\n");
  const std::string tasks = read_text(scripts / "tasks.sh");
  EXPECT_THAT(tasks, AllOf(HasSubstr("#SBATCH --array=1-4\n"), HasSubstr("#SBATCH --gres=gpu:1\n"),
                           HasSubstr("#SBATCH --time=2:00:00\n"), HasSubstr("#SBATCH --account=x\n"),
                           HasSubstr("#SBATCH --signal=B:USR1@300\n"),
                           HasSubstr("#SBATCH --job-name=nmlbench-x-touch-hacked\n"), HasSubstr("'--retry-failed'"),
                           HasSubstr("--worker=\"$SLURM_ARRAY_TASK_ID/4\"")));
  // one task, as Slurm would start it
  const std::string task =
      "SLURM_ARRAY_TASK_ID=1 bash " + (scripts / "tasks.sh").string() + " > " + (scratch_ / "log").string() + " 2>&1";
  EXPECT_EQ(std::system(task.c_str()), 0) << read_text(scratch_ / "log");
  EXPECT_EQ(std::system(("bash " + (scripts / "merge.sh").string() + " > " + (scratch_ / "log").string()).c_str()), 0);
  EXPECT_THAT(read_text(scratch_ / "log"), AllOf(HasSubstr("12 cells added"), HasSubstr("nmtune")));
  EXPECT_FALSE(fs::exists(scratch_ / "hacked"));
}

TEST_F(Workers, RefuseWhatDoesNotGoTogether) {
  scratch_.write("m.toml", kTiny);
  const auto error_of = [&](const std::vector<std::string>& more) {
    std::vector<std::string> command = {"run", "m.toml"};
    command.insert(command.end(), more.begin(), more.end());
    const Finished finished = run(scratch_, command);
    EXPECT_EQ(finished.status, 2);
    return finished.err;
  };
  EXPECT_THAT(error_of({"--workers", "2", "--shard", "1/2"}), HasSubstr("--shard and workers do not go together"));
  EXPECT_THAT(error_of({"--worker", "1/2", "--fail-fast"}), HasSubstr("--fail-fast and workers do not go together"));
  EXPECT_THAT(error_of({"--worker", "1/2", "--workers", "2"}), HasSubstr("do not go together"));
  EXPECT_THAT(error_of({"--worker", "3/2"}), HasSubstr("--worker 3/2: expected I/N"));
  EXPECT_THAT(error_of({"--workers", "2", "--set", "tuner[0].plugin=linear-prob"}), HasSubstr("did you mean"));
  EXPECT_FALSE(fs::exists(folder()));
  EXPECT_THAT(run(scratch_, {"status"}).err, HasSubstr("no workers share a run"));
  EXPECT_THAT(run(scratch_, {"merge", "nmlbench.sqlite"}).err, HasSubstr("no workers have left anything"));
  EXPECT_THAT(run(scratch_, {"submit", "m.toml"}).err, HasSubstr("--slurm"));

  // another plan's work is neither taken for this one's nor lost
  ASSERT_EQ(run(scratch_, {"run", "m.toml", "--worker", "1/1"}).status, 0);
  EXPECT_THAT(error_of({"--worker", "1/1", "--set", "matrix.seeds=[5]"}), HasSubstr("is not merged yet"));
  EXPECT_EQ(run(scratch_, {"merge", "nmlbench.sqlite"}).status, 0);
  EXPECT_EQ(count(db(), "SELECT count(*) FROM cells"), 12);
}

}  // namespace
}  // namespace nmlbench::testing
