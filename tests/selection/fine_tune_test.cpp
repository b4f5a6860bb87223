// [selection] for tuners that move the encoder: the same rule, by fits in place of heads.
#include "engine/training_rows.h"
#include "plan/trials.h"
#include "records/predictions.h"
#include "selection/frozen.h"
#include "support/program.h"

#include <algorithm>
#include <map>
#include <span>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// {}: what [selection] is over, and its other keys; tuners follow.
constexpr const char* kMoving = R"(
[matrix]
name = "moving"
seeds = [3]

[[pretrain]]
encoder = {{ plugin = "resnet-tiny", width = 4, size = 8 }}

[[task]]
name  = "patches"
train = {{ plugin = "npy-images", x = "x.npy", y = "y.npy" }}
[[task.test]]
kind = "id"
data = {{ plugin = "npy-images", x = "test_x.npy", y = "test_y.npy" }}

[selection]
over = [{}]
{}
)";

constexpr const char* kFull = R"(
[[tuner]]
plugin = "full-finetune"
epochs = 3
batch_size = 16
lr = [0.0003, 0.01, 0.03]
)";

constexpr const char* kWise = R"(
[[tuner]]
plugin = "wise-ft"
epochs = 3
batch_size = 16
lr = 0.02
alpha = [0.0, 0.4, 0.8, 1.0]
)";

// 8 x 8 pictures of three classes with much noise.
Blobs pictures(std::uint64_t seed, std::int64_t n) {
  const torch::Tensor y = torch::arange(n).remainder(3);
  const torch::Tensor classes = Stream(1).at("classes").normal({3, 8, 8, 3});
  const torch::Tensor noise = Stream(seed).at("noise").normal({n, 8, 8, 3});
  return {(128 + 25 * classes.index_select(0, y) + 60 * noise).clamp(0, 255).to(torch::kUInt8), y};
}

class MovingEncoders : public ::testing::Test {
 protected:
  MovingEncoders() {
    write("x", "y", train_);
    write("test_x", "test_y", test_);
  }
  void write(const std::string& x, const std::string& y, const Blobs& data) const {
    scratch_.write(x + ".npy", npy_bytes(data.x, "|u1"));
    scratch_.write(y + ".npy", npy_bytes(data.y, "<i8"));
  }
  void choose_among(const std::string& tuners, const std::string& rule = "") const {
    const bool wise = tuners.find("wise-ft") != std::string::npos;
    scratch_.write("m.toml", fmt::format(kMoving, wise ? R"("lr", "alpha")" : R"("lr", "head")", rule) + tuners);
  }
  // The candidates as an axis.
  void choose_nothing(const std::string& tuners) const {
    const std::string text = fmt::format(kMoving, "", "");
    scratch_.write("m.toml", text.substr(0, text.find("[selection]")) + tuners);
  }
  Plan plan() const { return plan_of_file(scratch_ / "m.toml"); }
  std::filesystem::path db(const std::string& name) const { return scratch_ / (name + ".sqlite"); }
  Finished run_into(const std::string& db, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"run", "m.toml", "--db", db + ".sqlite"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(scratch_, arguments);
  }
  void forget() const { std::filesystem::remove_all(scratch_ / "cache"); }
  std::string text(const std::string& name, const std::string& sql) const {
    SQLite::Database database(db(name).string());
    return database.execAndGet(sql).getString();
  }
  // What was tried: a line for each candidate of each tuner.
  std::vector<std::string> tried(const std::string& name) const {
    const SQLite::Database database(db(name).string());
    SQLite::Statement query(database,
                            "SELECT tuner || ' ' || candidate || ' ' || params || ' ' || s.status || printf(' %.17g "
                            "%.17g ', accuracy, loss) || chosen FROM v_selection s JOIN v_cells USING (cell_id) "
                            "ORDER BY tuner, candidate");
    std::vector<std::string> rows;
    while (query.executeStep()) rows.push_back(query.getColumn(0).getString());
    return rows;
  }
  std::vector<std::string> probability_rows(const std::string& name) const {
    const SQLite::Database database(db(name).string());
    SQLite::Statement query(database,
                            "SELECT cell_id || ' ' || test_set || ' ' || part || ' ' || samples_digest || ' ' || "
                            "hex(labels) || ' ' || hex(probabilities) FROM v_probabilities ORDER BY 1");
    std::vector<std::string> rows;
    while (query.executeStep()) rows.push_back(query.getColumn(0).getString());
    return rows;
  }
  std::vector<std::string> kept_by(const std::string& name, std::vector<std::string> more) const {
    more.emplace_back("--keep-probabilities");
    const Finished finished = run_into(name, more);
    EXPECT_EQ(finished.status, 0) << finished.err;
    return probability_rows(name);
  }
  // What the kept probabilities of held-out rows come to, by tuner.
  struct Answers {
    std::string digest;
    double loss = 0, accuracy = 0;
  };
  std::map<std::string, Answers> held_out_answers(const std::string& name) const {
    const SQLite::Database database(db(name).string());
    SQLite::Statement query(database,
                            "SELECT tuner, samples_digest, samples, classes, labels, probabilities "
                            "FROM v_probabilities JOIN v_cells USING (cell_id) WHERE test_set = ''");
    std::map<std::string, Answers> all;
    while (query.executeStep()) {
      const auto bytes = [&](int column) {
        const SQLite::Column blob = query.getColumn(column);
        return std::span(static_cast<const std::uint8_t*>(blob.getBlob()), static_cast<std::size_t>(blob.getBytes()));
      };
      const std::int64_t n = query.getColumn(2).getInt64(), classes = query.getColumn(3).getInt64();
      const std::vector<std::int32_t> labels = unpack_labels(bytes(4), n, classes);
      const std::vector<float> log_p = unpack_probabilities(bytes(5), n, classes);
      Answers& answers = all[query.getColumn(0).getString()];
      answers.digest = query.getColumn(1).getString();
      for (std::int64_t i = 0; i < n; ++i) {
        const auto row = log_p.begin() + i * classes;
        const std::int32_t label = labels[static_cast<std::size_t>(i)];
        answers.loss -= static_cast<double>(row[label]) / static_cast<double>(n);
        answers.accuracy += (std::max_element(row, row + classes) - row == label ? 1.0 : 0.0) / static_cast<double>(n);
      }
    }
    return all;
  }
  std::int64_t fits(const std::string& name) const {
    return count(db(name), "SELECT count(*) FROM v_throughput WHERE stage = 'tune' AND unit = 'images'");
  }

  Scratch scratch_;
  Blobs train_ = pictures(1, 75), test_ = pictures(2, 30);
};

TEST_F(MovingEncoders, AGridIsOneCellAndItsTrialsReadNoFeatures) {
  choose_among(std::string(kFull) + kWise);
  const Plan grids = plan();
  ASSERT_EQ(grids.cells.size(), 2U);
  const Trials trials = trials_of(grids);
  ASSERT_EQ(trials.of.size(), 3U + 4U);
  for (const Cell& trial : trials.plan.cells) EXPECT_TRUE(trial.tests.empty());
  EXPECT_FALSE(reads_training_features(grids, grids.cells[0]));
  EXPECT_TRUE(reads_training_features(grids, grids.cells[1]));  // its head begins as a probe
  choose_among(std::string(kFull) + "head = [\"random\", \"probe\"]\n");
  const Plan heads = plan();
  EXPECT_TRUE(reads_training_features(heads, heads.cells[0])) << "one of its candidates does";
}

// 3 epochs of 75 rows, and of the trials' 60: three of full-finetune, one that the alphas share.
TEST_F(MovingEncoders, PlansCountTheRowsOfTrials) {
  choose_among(kFull);
  EXPECT_THAT(run(scratch_, {"plan", "m.toml"}).out, ::testing::ContainsRegex("fine-tune +1 +0 +1 +765 images"));
  choose_among(kWise);
  EXPECT_THAT(run(scratch_, {"plan", "m.toml"}).out, ::testing::ContainsRegex("fine-tune +1 +0 +1 +405 images"));
}

// A trial is what a matrix gets whose training split has the kept rows alone and whose test set is the rest.
TEST_F(MovingEncoders, ATrialIsTheCellOfItsCandidateOnTheKeptRows) {
  choose_among(kFull);
  ASSERT_EQ(run_into("a").status, 0);
  ASSERT_EQ(count(db("a"), "SELECT count(*) FROM v_cells"), 1);
  ASSERT_EQ(tried("a").size(), 3U);
  const Plan grids = plan();
  const HeldOut parts = hold_out(train_.y, 1.0, subset_draws(grids, grids.cells[0]), *grids.selection, 0);
  ASSERT_EQ(parts.held_out.size(0), 15);
  const auto rows_of = [&](const torch::Tensor& rows) {
    return Blobs{train_.x.index_select(0, rows), train_.y.index_select(0, rows)};
  };
  write("x", "y", rows_of(parts.kept));
  write("test_x", "test_y", rows_of(parts.held_out));
  choose_nothing(kFull);
  ASSERT_EQ(run_into("b").status, 0);
  for (const char* metric : {"accuracy", "loss"}) {
    for (const char* lr : {"0.0003", "0.01", "0.03"}) {
      const std::string scored = text("a", fmt::format("SELECT printf('%.9g', {}) FROM v_selection WHERE "
                                                       "json_extract(params, '$.lr') = {}",
                                                       metric, lr));
      const std::string alone = text("b", fmt::format("SELECT printf('%.9g', value) FROM v_results WHERE metric = '{}' "
                                                      "AND json_extract(tuner_params, '$.lr') = {}",
                                                      metric, lr));
      EXPECT_EQ(scored, alone) << metric << " of lr = " << lr;
    }
  }
}

TEST_F(MovingEncoders, TheBestIsFittedAgainOnAllRows) {
  choose_among(kFull);
  ASSERT_EQ(run_into("a").status, 0);
  EXPECT_EQ(count(db("a"),
                  "SELECT count(*) FROM v_selection s WHERE chosen AND accuracy < "
                  "(SELECT max(accuracy) FROM v_selection)"),
            0);
  const std::string lr = text("a", "SELECT json_extract(params, '$.lr') FROM v_selection WHERE chosen");
  EXPECT_NE(lr, "0.0003") << "which learns next to nothing in three epochs";
  choose_nothing(kFull);
  ASSERT_EQ(run_into("b", {"--set", "tuner.lr=" + lr}).status, 0);
  for (const char* metric : {"accuracy", "loss", "sve"}) {
    const std::string value = fmt::format("SELECT printf('%.17g', value) FROM v_results WHERE metric = '{}'", metric);
    EXPECT_EQ(text("a", value), text("b", value)) << metric;
  }
  choose_among(kFull, "refit = false");
  ASSERT_EQ(run_into("kept").status, 0);
  const std::string loss = "SELECT printf('%.17g', value) FROM v_results WHERE metric = 'loss'";
  EXPECT_NE(text("kept", loss), text("a", loss));
  EXPECT_EQ(tried("kept"), tried("a"));
}

TEST_F(MovingEncoders, SharesOfTheTunedWeightsAreChosenFromOneFit) {
  choose_among(kWise);
  ASSERT_EQ(run_into("a").status, 0);
  EXPECT_EQ(tried("a").size(), 4U);
  EXPECT_EQ(fits("a"), 2) << "one that the candidates share, and the chosen one's";
  EXPECT_EQ(count(db("a"), "SELECT count(DISTINCT loss) FROM v_selection"), 4);
}

TEST_F(MovingEncoders, NoTestLabelIsReadBeforeTheChoice) {
  for (const char* rule : {"", "rule = \"k-fold\"\nfolds = 3", "rule = \"last\""}) {
    SCOPED_TRACE(rule);
    choose_among(std::string(kFull) + kWise, rule);
    write("test_x", "test_y", test_);
    forget();
    const std::string clean = fmt::format("clean{}", std::string(rule).size());
    ASSERT_EQ(run_into(clean).status, 0);
    write("test_x", "test_y", {test_.x, Stream(9).integers({30}, 3)});
    forget();
    const std::string noisy = fmt::format("noisy{}", std::string(rule).size());
    ASSERT_EQ(run_into(noisy).status, 0);
    EXPECT_EQ(tried(clean), tried(noisy));
    EXPECT_EQ(tried(clean).size(), 7U);
    const std::string loss = "SELECT avg(value) FROM v_results WHERE metric = 'loss'";
    EXPECT_NE(text(clean, loss), text(noisy, loss)) << "the labels are noise";
  }
}

TEST_F(MovingEncoders, TheOracleReadsThem) {
  choose_among(kFull, "rule = \"oracle\"");
  ASSERT_EQ(run_into("a").status, 0);
  EXPECT_EQ(count(db("a"),
                  "SELECT count(*) FROM v_selection s JOIN v_results r USING (cell_id) WHERE s.chosen AND "
                  "r.metric = 'accuracy' AND abs(r.value - s.accuracy) < 1e-12"),
            1);
}

TEST_F(MovingEncoders, HoweverManyFitsRunAtOnceTheyAreTheSame) {
  choose_among(std::string(kFull) + kWise);
  ASSERT_EQ(run_into("whole", {"--threads", "3"}).status, 0);
  forget();
  ASSERT_EQ(run_into("single", {"--threads", "1"}).status, 0);
  EXPECT_EQ(result_rows(db("single")), result_rows(db("whole")));
  EXPECT_EQ(tried("single"), tried("whole"));
}

TEST_F(MovingEncoders, WorkersChooseTheSame) {
  choose_among(std::string(kFull) + "[[tuner]]\nplugin = \"linear-probe\"\nepochs = 5\nlr = [0.01, 0.1]\n");
  ASSERT_EQ(run_into("whole").status, 0);
  forget();
  const Finished isolated = run_into("isolated", {"--isolate", "all"});
  ASSERT_EQ(isolated.status, 0) << isolated.err;
  EXPECT_EQ(result_rows(db("isolated")), result_rows(db("whole")));
  EXPECT_EQ(tried("isolated"), tried("whole"));
}

TEST_F(MovingEncoders, KilledBetweenTrialsItGoesOnWithTheOthers) {
  choose_among(kFull);
  ASSERT_EQ(run_into("calm", {"--set", "tuner.epochs=60", "--keep-probabilities"}).status, 0);
  forget();
  const std::vector<std::string> killed = {"--set", "tuner.epochs=60", "--threads", "1", "--keep-probabilities"};
  std::int64_t done = 0;
  {
    std::vector<std::string> arguments = {"run", "m.toml", "--db", "killed.sqlite"};
    arguments.insert(arguments.end(), killed.begin(), killed.end());
    const Program program(scratch_, arguments);
    for (int i = 0; i < 20000 && done < 2; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      try {
        done = fits("killed");
      } catch (const SQLite::Exception&) {  // the database is being made
        continue;
      }
    }
    program.signal(SIGKILL);
    program.wait();
  }
  ASSERT_GE(done, 2);
  done = fits("killed");
  ASSERT_LT(done, 4) << "it was over too soon";
  const Finished resumed = run_into("killed", killed);
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_LE(fits("killed"), 4) << "three trials and the chosen one";
  EXPECT_EQ(result_rows(db("killed")), result_rows(db("calm")));
  EXPECT_EQ(tried("killed"), tried("calm"));
  EXPECT_THAT(probability_rows("killed"), SizeIs(2));
  EXPECT_EQ(probability_rows("killed"), probability_rows("calm"));
}

TEST_F(MovingEncoders, ChoicesAreKeptAndVerifyMakesThemAgain) {
  choose_among(std::string(kFull) + kWise);
  ASSERT_EQ(run_into("a").status, 0);
  EXPECT_EQ(fits("a"), 3 + 1 + 2);
  ASSERT_EQ(run_into("b").status, 0);  // another database, the same cache: only the chosen are fitted
  EXPECT_EQ(fits("b"), 2);
  EXPECT_EQ(tried("b"), tried("a"));
  const Finished verified = run(scratch_, {"verify", "a.sqlite"});
  EXPECT_EQ(verified.status, 0) << verified.out << verified.err;
  SQLite::Database(db("a").string(), SQLite::OPEN_READWRITE)
      .exec("UPDATE candidates SET accuracy = accuracy + 0.5 WHERE candidate = 1");
  const Finished forged = run(scratch_, {"verify", "a.sqlite"});
  EXPECT_EQ(forged.status, 1);
  EXPECT_THAT(forged.out, HasSubstr("candidate 1"));
}

// All five, and a head on the same rows.
constexpr const char* kEveryKind = R"(
[[tuner]]
plugin = "full-finetune"
epochs = 2
lr = [0.001, 0.01]
[[tuner]]
plugin = "lora"
targets = ["body.*.conv*.weight"]
epochs = 2
lr = [0.001, 0.01]
[[tuner]]
plugin = "bitfit"
epochs = 2
lr = [0.001, 0.01]
[[tuner]]
plugin = "lp-ft"
epochs = 2
lr = [0.001, 0.01]
[[tuner]]
plugin = "wise-ft"
epochs = 2
lr = 0.01
alpha = [0.3, 0.9]
[[tuner]]
plugin = "linear-probe"
epochs = 2
lr = [0.01, 0.1]
)";

TEST_F(MovingEncoders, WhatTheyAnswerOnHeldOutRowsIsKept) {
  choose_among(kEveryKind);
  const Finished finished = run_into("a", {"--keep-probabilities"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const std::map<std::string, Answers> kept = held_out_answers("a");
  ASSERT_THAT(kept, SizeIs(6));
  for (const auto& [tuner, answers] : kept) {
    SCOPED_TRACE(tuner);
    EXPECT_EQ(answers.digest, kept.at("linear-probe").digest) << "the rows of all tuners are the same";
    const std::string chosen =
        fmt::format("FROM v_selection JOIN v_cells USING (cell_id) WHERE chosen AND tuner = '{}'", tuner);
    EXPECT_NEAR(answers.loss, std::stod(text("a", "SELECT printf('%.17g', loss) " + chosen)), 5e-4 * answers.loss);
    EXPECT_NEAR(answers.accuracy, std::stod(text("a", "SELECT printf('%.17g', accuracy) " + chosen)), 1e-9);
  }
  const auto board = [&](const std::vector<std::string>& question) {
    std::vector<std::string> arguments = {"posthoc", "--db", "a.sqlite", "--json"};
    arguments.insert(arguments.begin() + 1, question.begin(), question.end());
    const Finished answered = run(scratch_, arguments);
    EXPECT_EQ(answered.status, 0) << answered.err;
    return nlohmann::json::parse(answered.out);
  };
  const nlohmann::json scaled = board({"temperature"}), vote = board({"ensemble", "--over", "tuner"});
  EXPECT_EQ(scaled.at("without_held_out_rows"), 0);
  EXPECT_EQ(scaled.at("rows").size() + scaled.at("without_temperature").get<std::size_t>(), 6U);
  ASSERT_EQ(vote.at("rows").size(), 1U);
  EXPECT_EQ(vote.at("rows").at(0).at("members"), 6);
}

TEST_F(MovingEncoders, ChoicesAreKeptWithTheAnswersAndMadeAgainWithoutThem) {
  choose_among(kWise);
  ASSERT_EQ(run_into("plain").status, 0);
  EXPECT_EQ(count(db("plain"), "SELECT count(*) FROM v_probabilities"), 0);
  const std::vector<std::string> whole = kept_by("whole", {});
  EXPECT_THAT(whole, SizeIs(2));
  EXPECT_EQ(fits("whole"), 2) << "the choices that the cache had were without the answers";
  EXPECT_EQ(kept_by("again", {}), whole);
  EXPECT_EQ(fits("again"), 1);
  ASSERT_EQ(run_into("plain_again").status, 0);
  EXPECT_EQ(fits("plain_again"), 1);
  EXPECT_THAT(probability_rows("plain_again"), SizeIs(0));
  forget();
  EXPECT_EQ(kept_by("isolated", {"--isolate", "all"}), whole);
}

TEST_F(MovingEncoders, KeptAnswersAreTheSameByWorkersAndByShardsSlow) {
  choose_among(std::string(kFull) + kWise, "rule = \"k-fold\"\nfolds = 2");
  const std::vector<std::string> seeds = {"--set", "matrix.seeds=[3, 4]"};
  const std::vector<std::string> whole = kept_by("whole", seeds);
  EXPECT_THAT(whole, SizeIs(2 * 2 * (1 + 2)));
  forget();
  EXPECT_EQ(kept_by("shared", {"--workers", "2", seeds[0], seeds[1]}), whole);
  forget();
  EXPECT_LT(kept_by("half", {"--shard", "1/2", seeds[0], seeds[1]}).size(), whole.size());
  kept_by("rest", {"--shard", "2/2", seeds[0], seeds[1]});
  ASSERT_EQ(run(scratch_, {"merge", "half.sqlite", "rest.sqlite"}).status, 0);
  EXPECT_EQ(probability_rows("half"), whole);
}

TEST_F(MovingEncoders, ADivergingCandidateIsOutAndAllOfThemFailTheCell) {
  choose_among(kFull);
  ASSERT_EQ(run_into("one", {"--set", "tuner.lr=[1e3, 0.01]"}).status, 0);
  EXPECT_EQ(text("one", "SELECT status || chosen FROM v_selection WHERE candidate = 1"), "failed0");
  EXPECT_EQ(text("one", "SELECT status || chosen FROM v_selection WHERE candidate = 2"), "done1");
  const Finished all = run_into("all", {"--set", "tuner.lr=[1e3, 9e2]"});
  EXPECT_EQ(all.status, 1);
  EXPECT_THAT(all.err, AllOf(HasSubstr("none of 2 candidates can be chosen, all failed; candidate 1 {\"lr\":1000}"),
                             HasSubstr("training diverged")));
  EXPECT_EQ(count(db("all"), "SELECT count(*) FROM v_selection WHERE status = 'failed'"), 2);
}

// Tuners on frozen features and those that move the encoder choose side by side, on noisy labels of the same rows.
TEST_F(MovingEncoders, NoisyLabelsOfATaskAreHeldOutToo) {
  choose_among(std::string(kFull) + "[[tuner]]\nplugin = \"linear-probe\"\nepochs = 5\nlr = [0.01, 0.1]\n");
  const std::string noise = "task.noise={ plugin = \"symmetric\", ratio = 0.4 }";
  ASSERT_EQ(run_into("noisy", {"--set", noise}).status, 0);
  ASSERT_EQ(run_into("clean").status, 0);
  EXPECT_EQ(tried("noisy").size(), 5U);
  EXPECT_EQ(count(db("noisy"), "SELECT count(*) FROM v_cells WHERE task_realised_rate > 0.2"), 2);
  for (const char* tuner : {"full-finetune", "linear-probe"}) {
    const std::string least =
        "SELECT min(loss) FROM v_selection JOIN v_cells USING (cell_id) WHERE tuner = '" + std::string(tuner) + "'";
    EXPECT_GT(std::stod(text("noisy", least)), std::stod(text("clean", least))) << tuner;
  }
}

}  // namespace
}  // namespace nmlbench::testing
