// Leases: one holder at a time, whoever dies.
#include "support/leases.h"

#include "support/scratch.h"

#include <atomic>
#include <csignal>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

namespace nmlbench::testing {
namespace {

using namespace std::chrono_literals;

// As a process on another machine would have written it.
std::string lease_from_elsewhere() {
  ProcessOwner owner = this_process("worker 2/3");
  owner.host = "elsewhere";
  owner.machine = "another one";
  owner.since = "2026-01-01T00:00:00Z";
  nlohmann::json content = owner;
  content["token"] = "theirs";
  return content.dump();
}

void set_age(const std::filesystem::path& file, std::chrono::seconds age) {
  std::filesystem::last_write_time(file, std::filesystem::file_time_type::clock::now() - age);
}

TEST(Leases, OneIsHeldByOneUntilItIsGivenBack) {
  const Scratch scratch;
  Leases first(scratch / "leases", "worker 1/2"), second(scratch / "leases");
  {
    const std::optional<Lease> held = first.take("stage");
    ASSERT_TRUE(held);
    EXPECT_FALSE(first.take("stage"));
    EXPECT_FALSE(second.take("stage"));
    EXPECT_TRUE(second.take("another"));
    const std::optional<LeaseState> state = second.look("stage");
    ASSERT_TRUE(state && state->owner);
    EXPECT_TRUE(state->alive);
    EXPECT_EQ(state->owner->pid, ::getpid());
    EXPECT_EQ(to_text(*state->owner).rfind("worker 1/2 (", 0), 0U);
    EXPECT_EQ(second.all().size(), 1U);
  }
  EXPECT_FALSE(second.look("stage"));
  EXPECT_TRUE(second.take("stage"));
  EXPECT_TRUE(std::filesystem::is_empty(scratch / "leases"));
}

// Eight askers on forty names, over and over: never two holders of one name.
TEST(Leases, OfManyAskersOneWins) {
  const Scratch scratch;
  constexpr int kNames = 40;
  std::vector<std::atomic<int>> holders(kNames), wins(kNames);
  std::atomic<int> twice{0};
  std::vector<std::thread> askers;
  for (int asker = 0; asker < 8; ++asker) {
    askers.emplace_back([&] {
      Leases leases(scratch / "leases");
      for (int round = 0; round < 5; ++round) {
        for (int name = 0; name < kNames; ++name) {
          const std::optional<Lease> held = leases.take(std::to_string(name));
          if (!held) continue;
          twice += holders[name]++ > 0 ? 1 : 0;
          ++wins[name];
          std::this_thread::yield();
          --holders[name];
        }
      }
    });
  }
  for (std::thread& asker : askers) asker.join();
  EXPECT_EQ(twice, 0);
  for (const auto& won : wins) EXPECT_GE(won, 1);
  EXPECT_TRUE(std::filesystem::is_empty(scratch / "leases"));
}

TEST(Leases, OneOfAnotherMachineIsTakenOverWhenNobodyTouchesIt) {
  const Scratch scratch;
  Leases leases(scratch / "leases");
  const auto file = scratch.write("leases/stage", lease_from_elsewhere());
  EXPECT_FALSE(leases.take("stage"));
  set_age(file, 50s);
  EXPECT_FALSE(leases.take("stage"));
  EXPECT_TRUE(leases.look("stage")->alive);
  set_age(file, 70s);
  EXPECT_FALSE(leases.look("stage")->alive);
  EXPECT_TRUE(leases.take("stage"));
}

TEST(Leases, ADeadOneIsTakenOverByOneAskerOnly) {
  const Scratch scratch;
  for (int round = 0; round < 30; ++round) {
    const std::string name = "stage" + std::to_string(round);
    set_age(scratch.write("leases/" + name, lease_from_elsewhere()), 70s);
    std::atomic<int> waiting{6}, winners{0}, finished{0};
    std::vector<std::thread> askers;
    for (int asker = 0; asker < 6; ++asker) {
      askers.emplace_back([&] {
        Leases leases(scratch / "leases");
        for (--waiting; waiting > 0;) std::this_thread::yield();
        const std::optional<Lease> held = leases.take(name);
        winners += held ? 1 : 0;
        for (++finished; finished < 6;) std::this_thread::yield();  // held until all have asked
      });
    }
    for (std::thread& asker : askers) asker.join();
    EXPECT_EQ(winners, 1);
  }
}

TEST(Leases, OneOfAProcessOfThisMachineEndsWithTheProcess) {
  const Scratch scratch;
  const pid_t child = ::fork();
  if (child == 0) {
    Leases leases(scratch / "leases");
    const std::optional<Lease> held = leases.take("stage");
    ::kill(::getpid(), SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  Leases leases(scratch / "leases");
  ASSERT_TRUE(std::filesystem::exists(scratch / "leases/stage"));
  EXPECT_FALSE(leases.look("stage")->alive);
  EXPECT_TRUE(leases.take("stage"));
}

// A process number is given out again.
TEST(Leases, OneOfAnEarlierProcessWithOurNumberIsDead) {
  const Scratch scratch;
  Leases leases(scratch / "leases");
  ProcessOwner owner = this_process();
  owner.start -= 1;
  scratch.write("leases/stage", nlohmann::json(owner).dump());
  EXPECT_TRUE(leases.take("stage"));
}

TEST(Leases, OneWithoutAnOwnerIsHeldUntilTheLimit) {
  const Scratch scratch;
  Leases leases(scratch / "leases");
  const auto file = scratch.write("leases/stage", "");
  EXPECT_FALSE(leases.take("stage"));
  set_age(file, 70s);
  EXPECT_TRUE(leases.take("stage"));
}

TEST(Leases, AClockThatWasSetBackKeepsNoneAlive) {
  const Scratch scratch;
  Leases leases(scratch / "leases");
  set_age(scratch.write("leases/stage", lease_from_elsewhere()), -3600s);
  EXPECT_TRUE(leases.take("stage"));
}

TEST(Leases, TheHolderTouchesIt) {
  const Scratch scratch;
  Leases leases(scratch / "leases", "", {20ms, 1000ms});
  const std::optional<Lease> held = leases.take("stage");
  set_age(scratch / "leases/stage", 3600s);
  for (int i = 0; i < 500 && leases.look("stage")->untouched_seconds > 1; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_LT(leases.look("stage")->untouched_seconds, 1);
}

TEST(Leases, WhoLostOneDoesNotTouchItsSuccessor) {
  const Scratch scratch;
  Leases leases(scratch / "leases", "", {10ms, 60000ms});
  {
    const std::optional<Lease> lost = leases.take("stage");
    std::filesystem::remove(scratch / "leases/stage");
    scratch.write("leases/stage", lease_from_elsewhere());
    set_age(scratch / "leases/stage", 30s);
    std::this_thread::sleep_for(100ms);
    EXPECT_GT(leases.look("stage")->untouched_seconds, 20);
  }
  EXPECT_EQ(read_text(scratch / "leases/stage"), lease_from_elsewhere());
}

}  // namespace
}  // namespace nmlbench::testing
