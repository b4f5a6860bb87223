// [selection] from the outside: what is chosen, what is kept of it, and that no test set is read before.
#include "engine/metrics.h"
#include "engine/training_rows.h"
#include "integration/matrices.h"
#include "plan/trials.h"
#include "selection/frozen.h"
#include "support/program.h"

#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// cell, candidate -> accuracy, loss, chosen
struct Scored {
  double accuracy = 0, loss = 0;
  bool chosen = false;
  bool operator==(const Scored&) const = default;
};
using Selected = std::map<std::pair<std::string, std::int64_t>, Scored>;

Selected selected(const std::filesystem::path& db) {
  const SQLite::Database database(db.string());
  SQLite::Statement query(database, "SELECT cell_id, candidate, accuracy, loss, chosen FROM v_selection");
  Selected rows;
  while (query.executeStep()) {
    rows[{query.getColumn(0).getString(), query.getColumn(1).getInt64()}] = {
        query.getColumn(2).getDouble(), query.getColumn(3).getDouble(), query.getColumn(4).getInt() != 0};
  }
  return rows;
}

std::string text(const std::filesystem::path& db, const std::string& sql) {
  SQLite::Database database(db.string());
  return database.execAndGet(sql).getString();
}

class SelectionRun : public ::testing::Test {
 protected:
  // Runs the matrix into a database of its own, with whatever is in the cache.
  Finished run_into(const std::string& db, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"run", "m.toml", "--db", db + ".sqlite"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(scratch_, arguments);
  }
  std::filesystem::path db(const std::string& name) const { return scratch_ / (name + ".sqlite"); }
  void forget() const { std::filesystem::remove_all(scratch_ / "cache"); }
  void set_rule(const std::string& rule) {
    std::string text = kGrids;
    text.insert(text.find("over ="), rule + "\n");
    scratch_.write("m.toml", text);
  }

  // What a plain loop over candidates and parts comes to: each candidate alone, a stack of one head.
  Scored alone(const Plan& plan, const Cell& cell, std::size_t candidate) const {
    double right = 0, loss = 0, rows = 0;
    for (const Cell& trial : trials_of(plan, cell)) {
      if (trial.tuner != candidate) continue;
      const ResolvedPlugin& plugin = plan.tuners[candidate];
      const HeldOut parts =
          hold_out(blobs_.train.y, cell.fraction, subset_draws(plan, cell), *plan.selection, *trial.part);
      const StackShape shape{1, 1, blobs_.train.x.size(1), 4};
      const std::unique_ptr<Tuner> tuner = make_tuner(plugin);
      tuner->init(shape, {{plugin.params, cell_draws(plan, cell)}}, torch::kCPU);
      // the kept rows as a data set of their own
      const UnitRows kept{blobs_.train.x.index_select(0, parts.kept), blobs_.train.y.index_select(0, parts.kept),
                          torch::arange(parts.kept.size(0))};
      tuner->fit(StackRows({kept}, shape, torch::kCPU), Context());
      const torch::NoGradGuard no_grad;
      const torch::Tensor x = blobs_.train.x.index_select(0, parts.held_out).unsqueeze(0);
      const Metrics metrics =
          classification_metrics(tuner->predict(x, 0).logits[0], blobs_.train.y.index_select(0, parts.held_out));
      const auto n = static_cast<double>(parts.held_out.size(0));
      right += n * metrics.accuracy;
      loss += n * metrics.loss;
      rows += n;
    }
    return {right / rows, loss / rows, false};
  }

  void expect_as_alone(const std::string& name, const std::vector<std::string>& set = {}) {
    const Plan plan = plan_of_file(scratch_ / "m.toml", set);
    Selected found = selected(db(name));
    for (const Cell& cell : plan.cells) {
      if (!cell.grid) continue;
      const Grid& grid = plan.grids[*cell.grid];
      std::size_t best = 0;
      std::vector<Scored> expected;
      for (std::size_t i = 0; i < grid.candidates.size(); ++i) {
        expected.push_back(alone(plan, cell, grid.candidates[i]));
        const double gain = expected[i].accuracy - expected[best].accuracy;
        if (gain > 1e-12 || (gain > -1e-12 && expected[i].loss < expected[best].loss)) best = i;
      }
      for (std::size_t i = 0; i < grid.candidates.size(); ++i) {
        const Scored& have = found.at({cell.id, static_cast<std::int64_t>(i) + 1});
        EXPECT_NEAR(have.accuracy, expected[i].accuracy, 1e-12);
        EXPECT_NEAR(have.loss, expected[i].loss, 1e-6);
        EXPECT_EQ(have.chosen, i == best);
        found.erase({cell.id, static_cast<std::int64_t>(i) + 1});
      }
    }
    EXPECT_TRUE(found.empty());
  }

  Scratch scratch_;
  FrozenBlobs blobs_{scratch_};
  std::filesystem::path matrix_ = scratch_.write("m.toml", kGrids);
};

TEST_F(SelectionRun, ChoosesWhatAPlainLoopChooses) {
  const Finished finished = run_into("a");
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("12 cells done"));
  EXPECT_EQ(count(db("a"), "SELECT count(*) FROM v_cells"), 12);  // a grid is one cell
  EXPECT_EQ(count(db("a"), "SELECT count(*) FROM v_selection"), 4 * (6 + 4));
  EXPECT_EQ(count(db("a"), "SELECT count(*) FROM v_selection WHERE chosen"), 8);
  EXPECT_EQ(count(db("a"), "SELECT count(*) FROM v_cells WHERE (selection = '') = (tuner = 'nmtune')"), 12);
  EXPECT_EQ(text(db("a"), "SELECT DISTINCT selection FROM v_cells WHERE tuner = 'mlp'"),
            R"({"holdout":0.2,"metric":"accuracy","refit":true,"rule":"holdout"})");
  expect_as_alone("a");
}

TEST_F(SelectionRun, FoldsChooseWhatAPlainLoopChooses) {
  set_rule("rule = \"k-fold\"\nfolds = 3");
  ASSERT_EQ(run_into("a").status, 0);
  expect_as_alone("a");
}

// The head that is measured is that of the chosen parameters on all rows: the one of a matrix that has just them.
TEST_F(SelectionRun, RefitsTheChosenOnAllRows) {
  ASSERT_EQ(run_into("a").status, 0);
  const std::string probe = "tuner = 'linear-probe' AND fraction = 1.0 AND seed = 1";
  const std::string chosen =
      text(db("a"), "SELECT params FROM v_selection JOIN v_cells USING (cell_id) WHERE chosen AND " + probe);
  const auto params = nlohmann::json::parse(chosen);
  std::string matrix = kGrids;
  const std::size_t begin = matrix.find("[selection]"), end = matrix.find("[[tuner]]");
  matrix = matrix.substr(0, begin) + matrix.substr(end);
  scratch_.write("single.toml", matrix);
  ASSERT_EQ(run(scratch_, {"run", "single.toml", "--db", "single.sqlite", "--set",
                           fmt::format("tuner[0].lr={}", params.at("lr").get<double>()), "--set",
                           fmt::format("tuner[0].weight_decay={}", params.at("weight_decay").get<double>())})
                .status,
            0);
  for (const char* metric : {"accuracy", "loss", "ece"}) {
    const std::string value =
        "SELECT printf('%.17g', value) FROM v_results WHERE metric = '" + std::string(metric) + "' AND " + probe;
    EXPECT_EQ(text(db("a"), value), text(db("single"), value)) << metric;
  }
}

TEST_F(SelectionRun, WithoutRefitTheHeadIsThatOfTheKeptRows) {
  set_rule("refit = false");
  ASSERT_EQ(run_into("kept").status, 0);
  set_rule("");
  ASSERT_EQ(run_into("all").status, 0);
  const std::string loss = "SELECT total(value) FROM v_results WHERE metric = 'loss' AND tuner = 'mlp'";
  EXPECT_NE(text(db("kept"), loss), text(db("all"), loss));
  const std::string same = "SELECT total(value) FROM v_results WHERE metric = 'loss' AND tuner = 'nmtune'";
  EXPECT_EQ(text(db("kept"), same), text(db("all"), same)) << "what has no grid trains on all rows";
  // the mean training loss of the first epoch at the start is that of its trial: as many rows, the same draws
  const Plan plan = plan_of_file(scratch_ / "m.toml", {"selection.refit=false"});
  for (const Cell& cell : plan.cells) EXPECT_EQ(cell.part.has_value(), cell.grid.has_value());
}

// Labels of the test set that are noise, and even a test set that lies elsewhere, change no choice and no score.
TEST_F(SelectionRun, NoTestLabelIsReadBeforeTheChoice) {
  for (const char* rule : {"", "rule = \"k-fold\"\nfolds = 3", "rule = \"last\""}) {
    set_rule(rule);
    scratch_.write("test_y.npy", npy_bytes(blobs_.test.y, "<i8"));
    forget();
    const std::string clean = fmt::format("clean{}", std::string(rule).size());
    ASSERT_EQ(run_into(clean).status, 0) << rule;
    scratch_.write("test_y.npy", npy_bytes(Stream(9).integers({80}, 4), "<i8"));
    forget();
    const std::string noisy = fmt::format("noisy{}", std::string(rule).size());
    ASSERT_EQ(run_into(noisy).status, 0) << rule;
    const auto scores = [&](const std::string& name) {  // ids differ, since the data do
      const SQLite::Database database(db(name).string());
      SQLite::Statement query(database,
                              "SELECT tuner, fraction, seed, candidate, accuracy, loss, chosen FROM v_selection"
                              " JOIN v_cells USING (cell_id) ORDER BY 1, 2, 3, 4");
      std::vector<std::string> rows;
      while (query.executeStep()) {
        std::string row;
        for (int i = 0; i < query.getColumnCount(); ++i) row += query.getColumn(i).getString() + " ";
        rows.push_back(row);
      }
      return rows;
    };
    EXPECT_EQ(scores(clean), scores(noisy)) << rule;
    EXPECT_EQ(scores(clean).size(), 40U);
    const std::string accuracy = "SELECT avg(value) FROM v_results WHERE metric = 'accuracy'";
    EXPECT_GT(std::stod(text(db(clean), accuracy)), std::stod(text(db(noisy), accuracy)) + 0.1)
        << "the labels are noise";
  }
}

TEST_F(SelectionRun, TheOracleReadsThemAndIsMarked) {
  set_rule("rule = \"oracle\"");
  const Finished finished = run_into("oracle");
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.out,
              AllOf(HasSubstr("chosen on test"), HasSubstr("Chosen on test: parameters of linear-probe, mlp")));
  // it is the best of its candidates on the test set
  EXPECT_EQ(count(db("oracle"),
                  "SELECT count(*) FROM v_selection s JOIN v_results r USING (cell_id)"
                  " WHERE s.chosen AND r.metric = 'accuracy' AND abs(r.value - s.accuracy) > 1e-12"),
            0);
  EXPECT_EQ(count(db("oracle"),
                  "SELECT count(*) FROM v_selection s JOIN v_selection c USING (cell_id)"
                  " WHERE c.chosen AND s.accuracy > c.accuracy"),
            0);
  const auto board = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"leaderboard", "--db", "oracle.sqlite"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(scratch_, arguments).out;
  };
  EXPECT_THAT(board({"--group-by", "tuner"}), AllOf(HasSubstr("chosen on test"), HasSubstr("Chosen on test: ")));
  EXPECT_THAT(board({"--format", "csv"}), HasSubstr("chosen_on_test"));
  const auto json = nlohmann::json::parse(board({"--format", "json"}));
  EXPECT_THAT(json.dump(), HasSubstr("Chosen on test: parameters of linear-probe, mlp"));
  EXPECT_THAT(board({"--where", "tuner=nmtune"}), Not(HasSubstr("hosen on test")));
  ASSERT_EQ(run(scratch_, {"report", "--db", "oracle.sqlite", "-o", "report.html"}).status, 0);
  EXPECT_THAT(read_text(scratch_ / "report.html"), HasSubstr("Chosen on test: parameters of linear-probe, mlp"));
}

TEST_F(SelectionRun, TwoRulesAreNotAveraged) {
  ASSERT_EQ(run_into("both").status, 0);
  std::string other = kGrids;
  other.insert(other.find("over ="), "rule = \"oracle\"\n");
  other.replace(other.find("\"grids\""), 7, "\"other\"");
  scratch_.write("m.toml", other);
  ASSERT_EQ(run_into("both").status, 0);
  const std::string csv = run(scratch_, {"leaderboard", "--db", "both.sqlite", "--group-by", "tuner", "--where",
                                         "tuner=mlp", "--format", "csv"})
                              .out;
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 2 * 2);  // two matrices with their rules, two fractions
  EXPECT_THAT(csv, AllOf(HasSubstr("oracle"), HasSubstr("holdout"), HasSubstr("chosen_on_test")));
}

TEST_F(SelectionRun, ADivergingCandidateIsOutAndAllOfThemFailTheCell) {
  const Finished one = run_into("one", {"--set", "tuner[0].lr=[1e3, 0.01]", "--set", "tuner[0].weight_decay=10.0",
                                        "--set", "tuner[0].epochs=60"});
  ASSERT_EQ(one.status, 0) << one.err;
  EXPECT_EQ(count(db("one"), "SELECT count(*) FROM v_selection WHERE status = 'failed' AND message LIKE '%diverged%'"),
            4);
  EXPECT_EQ(count(db("one"), "SELECT count(*) FROM v_selection WHERE status = 'failed' AND chosen"), 0);
  const Finished all = run_into(
      "all", {"--set", "tuner[0].lr=[1e3, 9e2]", "--set", "tuner[0].weight_decay=10.0", "--set", "tuner[0].epochs=60"});
  EXPECT_EQ(all.status, 1);
  EXPECT_EQ(count(db("all"),
                  "SELECT count(*) FROM v_cells WHERE tuner = 'linear-probe' AND status = 'failed' AND message"
                  " LIKE 'none of 2 candidates can be chosen, all failed; candidate 1 {\"lr\":1000}: training"
                  " diverged%'"),
            4);
  EXPECT_EQ(
      count(db("all"), "SELECT count(*) FROM v_selection JOIN v_cells c USING (cell_id) WHERE c.status = 'failed'"), 8)
      << "what was tried is kept";
}

TEST_F(SelectionRun, OneRowOfEachClassLeavesNothingToHoldOut) {
  const torch::Tensor rows = torch::tensor({0, 1, 2, 3}, torch::kInt64);
  scratch_.write("x.npy", npy_bytes(blobs_.train.x.index_select(0, rows), "<f4"));
  scratch_.write("y.npy", npy_bytes(rows, "<i8"));
  const Finished finished = run_into("a", {"--set", "task.fraction=1.0"});
  EXPECT_EQ(finished.status, 1);
  EXPECT_EQ(count(db("a"),
                  "SELECT count(*) FROM v_cells WHERE status = 'failed' AND message LIKE '%nothing can be held out%'"),
            4);
}

// However heads are packed, and wherever the work is divided: the same numbers in every bit.
TEST_F(SelectionRun, StacksShardsAndResumesChangeNothing) {
  ASSERT_EQ(run_into("whole").status, 0);
  const auto rows = result_rows(db("whole"));
  const Selected chosen = selected(db("whole"));
  forget();
  ASSERT_EQ(run_into("single", {"--stack-heads", "1", "--threads", "1"}).status, 0);
  EXPECT_EQ(result_rows(db("single")), rows);
  EXPECT_EQ(selected(db("single")), chosen);
  forget();
  ASSERT_EQ(run_into("isolated", {"--isolate", "all", "--stack-heads", "3"}).status, 0);
  EXPECT_EQ(result_rows(db("isolated")), rows);
  EXPECT_EQ(selected(db("isolated")), chosen);
  forget();
  for (const char* shard : {"1/2", "2/2"})
    ASSERT_EQ(run_into(shard[0] == '1' ? "p1" : "p2", {"--shard", shard}).status, 0);
  ASSERT_EQ(run(scratch_, {"merge", "merged.sqlite", "p1.sqlite", "p2.sqlite"}).status, 0);
  EXPECT_EQ(result_rows(db("merged")), rows);
  EXPECT_EQ(selected(db("merged")), chosen);
}

TEST_F(SelectionRun, ChoicesAreKeptForTheNextRunAndVerifyMakesThemAgain) {
  ASSERT_EQ(run_into("a").status, 0);
  const auto steps = [&](const std::string& name) {
    return count(db(name), "SELECT total(items) FROM v_throughput WHERE stage = 'tune'");
  };
  ASSERT_EQ(run_into("b").status, 0);  // another database, the same cache: only the chosen are fitted
  EXPECT_EQ(result_rows(db("b")), result_rows(db("a")));
  EXPECT_EQ(selected(db("b")), selected(db("a")));
  EXPECT_LT(steps("b"), steps("a") / 2);
  const Finished again = run_into("a");
  EXPECT_THAT(again.err, HasSubstr("0 cells done, 0 failed, 12 known before"));
  const Finished verified = run(scratch_, {"verify", "a.sqlite", "--cells", "12"});
  EXPECT_EQ(verified.status, 0) << verified.out << verified.err;
  SQLite::Database(db("a").string(), SQLite::OPEN_READWRITE)
      .exec("UPDATE candidates SET accuracy = accuracy + 0.5 WHERE candidate = 1");
  const Finished forged = run(scratch_, {"verify", "a.sqlite", "--cells", "12"});
  EXPECT_EQ(forged.status, 1);
  EXPECT_THAT(forged.out, HasSubstr("candidate 1"));
}

TEST_F(SelectionRun, KilledItGoesOnWithWhatWasChosen) {
  ASSERT_EQ(run_into("calm").status, 0);
  forget();
  std::mt19937 random(7);
  for (int kill = 0; kill < 4; ++kill) {
    const Program program(scratch_, {"run", "m.toml", "--db", "killed.sqlite", "--stack-heads", "1", "--threads", "1"});
    std::this_thread::sleep_for(std::chrono::milliseconds(400 + random() % 1500));
    program.signal(SIGKILL);
    program.wait();
  }
  ASSERT_EQ(run_into("killed").status, 0);
  EXPECT_EQ(result_rows(db("killed")), result_rows(db("calm")));
  EXPECT_EQ(selected(db("killed")), selected(db("calm")));
}

// The training images without views, which score candidates, take nobody's place.
TEST_F(SelectionRun, FeaturesAreThoseThatTasksName) {
  std::string matrix = kTiny;
  const std::size_t begin = matrix.find("[[pretrain]]"), end = matrix.find("[[task]]");
  matrix.replace(begin, end - begin, "[[pretrain]]\nencoder = { plugin = \"pixels\" }\n\n");
  matrix.replace(matrix.find("per_class = 80 }\n"), 17, "per_class = 80 }\nviews = { count = 2 }\n");
  scratch_.write("views.toml", matrix + "lr = [0.1, 0.01]\n[selection]\nover = [\"lr\"]\n");
  ASSERT_EQ(run(scratch_, {"features", "views.toml", "-o", "out"}).status, 0);
  const auto index = nlohmann::json::parse(read_text(scratch_ / "out/index.json"));
  const auto& splits = index.at("checkpoints").at(0).at("splits");
  ASSERT_EQ(splits.size(), 3U);  // one to train on, two to test on
  for (const auto& split : splits) EXPECT_EQ(split.at("rows"), split.at("name") == "general-train" ? 640 : 40);
}

TEST_F(SelectionRun, ShowsPlansAndExportsIt) {
  const Finished planned = run(scratch_, {"plan", "m.toml", "--json"});
  ASSERT_EQ(planned.status, 0) << planned.err;
  const auto plan = nlohmann::json::parse(planned.out);
  EXPECT_EQ(plan.at("cells").size(), 12U);
  EXPECT_EQ(plan.at("selection").at("rule"), "holdout");
  // 60 or 120 rows in batches of 64; of trials four fifths of them: probes 6 x 4 epochs, mlps 2 x (1 + 3)
  ASSERT_EQ(run_into("a").status, 0);
  const std::string cell = text(db("a"), "SELECT cell_id FROM v_cells WHERE tuner = 'mlp' LIMIT 1");
  const Finished shown = run(scratch_, {"show", cell, "--db", "a.sqlite"});
  EXPECT_THAT(shown.out, AllOf(HasSubstr("candidates"), HasSubstr("epochs=3, lr=0.001"), HasSubstr("chosen")));
  const auto json = nlohmann::json::parse(run(scratch_, {"show", cell, "--db", "a.sqlite", "--json"}).out);
  EXPECT_EQ(json.at("candidates").size(), 4U);
  const Finished exported = run(scratch_, {"export", "--table", "selection", "--db", "a.sqlite"});
  EXPECT_EQ(exported.status, 0) << exported.err;
  EXPECT_THAT(exported.out, HasSubstr("cell_id,candidate,params,accuracy,loss,status,message,chosen\n"));
  EXPECT_EQ(std::count(exported.out.begin(), exported.out.end(), '\n'), 41);
  EXPECT_THAT(run(scratch_, {"throughput", "--db", "a.sqlite"}).out, HasSubstr("linear-probe"));
}

}  // namespace
}  // namespace nmlbench::testing
