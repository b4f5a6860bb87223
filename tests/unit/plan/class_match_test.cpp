#include "plan/class_match.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Split named(const std::string& name, std::vector<std::string> classes) {
  Split split;
  split.plugin.name = name;
  split.plugin.where = {"m.toml", 7, 1, name};
  split.facts.info.classes = static_cast<std::int64_t>(classes.size());
  split.facts.info.class_names = std::move(classes);
  return split;
}

Split unnamed(const std::string& name, std::int64_t classes) {
  Split split = named(name, {});
  split.facts.info.classes = classes;
  return split;
}

TEST(ClassMatch, AClassThatTheTestLacksMovesNoOther) {
  const ClassMatch match = match_classes(named("a", {"ant", "bee", "cat"}), named("b", {"ant", "cat"}));
  EXPECT_THAT(match.classes, ElementsAre(0, 2));
  EXPECT_EQ(match.obstacle, "");
}

TEST(ClassMatch, EqualNamesNeedNoMap) {
  EXPECT_THAT(match_classes(named("a", {"ant", "bee"}), named("b", {"ant", "bee"})).classes, IsEmpty());
}

TEST(ClassMatch, AnUnknownClassIsRefusedWithBothPlaces) {
  const ClassMatch match = match_classes(named("train", {"ant", "Bee"}), named("test", {"Bee", "Ant"}));
  EXPECT_THAT(match.obstacle, AllOf(HasSubstr("m.toml:7"), HasSubstr("\"Ant\""), HasSubstr("dataset train"),
                                    HasSubstr("dataset test"), HasSubstr("(but \"ant\")")));
}

TEST(ClassMatch, FoldersCalledByNumbersMeetLabelsThatAreNumbers) {
  const Split folders = named("a", {"0", "1", "10", "2"});
  EXPECT_THAT(match_classes(folders, unnamed("b", 3)).classes, ElementsAre(0, 1, 3));
  EXPECT_THAT(match_classes(unnamed("b", 11), folders).classes, ElementsAre(0, 1, 10, 2));
  EXPECT_THAT(match_classes(folders, named("c", {"00", "02"})).classes, ElementsAre(0, 3));
}

TEST(ClassMatch, NumbersFromZeroAreThoseOfNamedClasses) {
  const Split train = named("a", {"ant", "bee", "cat"});
  EXPECT_THAT(match_classes(train, named("b", {"0", "1", "2"})).classes, IsEmpty());
  EXPECT_THAT(match_classes(train, named("b", {"0", "2"})).classes, ElementsAre(0, 2));
  EXPECT_THAT(match_classes(train, named("b", {"1", "2", "3"})).obstacle, HasSubstr("\"1\""));  // from one?
}

TEST(ClassMatch, ANumberThatIsNoNameIsKnownOnceASampleHasIt) {
  const ClassMatch match = match_classes(named("a", {"1", "2"}), unnamed("b", 3));
  EXPECT_THAT(match.classes, ElementsAre(-1, 0, 1));
  EXPECT_EQ(match.obstacle, "");
}

TEST(ClassMatch, WithoutNamesNumbersAreAllThereIs) {
  EXPECT_THAT(match_classes(unnamed("a", 3), unnamed("b", 2)).classes, IsEmpty());
  EXPECT_THAT(match_classes(named("a", {"bee", "ant"}), unnamed("b", 2)).classes, IsEmpty());
  EXPECT_THAT(match_classes(unnamed("a", 2), named("b", {"bee", "ant"})).classes, IsEmpty());
}

TEST(ClassMatch, AMissingNameFallsBackToTheNumber) {
  const ClassMatch match = match_classes(named("a", {"ant", "", "cat"}), named("b", {"ant", "t-shirt", ""}));
  EXPECT_THAT(match.classes, IsEmpty());
  EXPECT_EQ(match.obstacle, "");
}

TEST(ClassMatch, SplitsThatSayWhatTheyStandForAreLeftAlone) {
  Split test = named("b", {"x"});
  test.facts.info.training_classes = {{1}};
  const ClassMatch match = match_classes(named("a", {"ant", "bee"}), test);
  EXPECT_THAT(match.classes, IsEmpty());
  EXPECT_EQ(match.obstacle, "");
}

}  // namespace
}  // namespace nmlbench
