#include "conformance/subject.h"

#include <nmlbench/dataset.h>

#include <algorithm>

#include <gtest/gtest.h>

namespace nmlbench::conformance {
namespace {

std::vector<std::int64_t> shape_of(const SplitInfo& info, std::int64_t rows) {
  std::vector<std::int64_t> shape = {rows};
  shape.insert(shape.end(), info.sample_shape.begin(), info.sample_shape.end());
  return shape;
}

// Texts for a comparison.
std::vector<std::string> written(const std::vector<Text>& texts) {
  std::vector<std::string> all;
  for (const Text& text : texts) all.push_back(text.first + (text.second ? "\n" + *text.second : ""));
  return all;
}

void labels_are_inside_the_classes(const Subject& subject) {
  const auto dataset = make_dataset(subject.plugin);
  const SplitInfo info = dataset->open();
  ASSERT_GT(info.size, 0);
  ASSERT_GT(info.classes, 0);
  const torch::Tensor labels = dataset->labels();
  EXPECT_EQ(labels.scalar_type(), torch::kInt64);
  ASSERT_EQ(labels.sizes(), torch::IntArrayRef({info.size}));
  EXPECT_FALSE(((labels < 0) | (labels >= info.classes)).any().item<bool>()) << "a label is outside [0, classes)";
  EXPECT_TRUE(info.class_names.empty() || static_cast<std::int64_t>(info.class_names.size()) == info.classes);
}

void samples_have_the_declared_shape(const Subject& subject) {
  const auto dataset = make_dataset(subject.plugin);
  const SplitInfo info = dataset->open();
  const std::int64_t rows = std::min<std::int64_t>(info.size, 5);
  if (info.kind == SampleKind::text) {
    EXPECT_TRUE(info.sample_shape.empty()) << "texts have no shape";
    EXPECT_EQ(dataset->texts(torch::arange(rows)).size(), static_cast<std::size_t>(rows));
    return;
  }
  const torch::Tensor samples = dataset->samples(torch::arange(rows), torch::kCPU);
  EXPECT_EQ(samples.sizes(), torch::IntArrayRef(shape_of(info, rows)));
  EXPECT_EQ(samples.scalar_type(), info.kind == SampleKind::feature ? torch::kFloat32 : torch::kUInt8);
}

void a_sample_is_the_same_alone_and_in_a_batch(const Subject& subject) {
  const auto dataset = make_dataset(subject.plugin);
  const SplitInfo info = dataset->open();
  const torch::Tensor rows =
      torch::tensor({info.size - 1, std::int64_t{0}, info.size / 2, std::int64_t{0}}, torch::kInt64);
  if (info.kind == SampleKind::text) {
    const std::vector<Text> batch = dataset->texts(rows);
    for (std::int64_t i = 0; i < rows.size(0); ++i) {
      EXPECT_EQ(written(dataset->texts(rows.slice(0, i, i + 1))), written({batch.at(static_cast<std::size_t>(i))}));
    }
    return;
  }
  const torch::Tensor batch = dataset->samples(rows, torch::kCPU);
  for (std::int64_t i = 0; i < rows.size(0); ++i) {
    EXPECT_TRUE(torch::equal(dataset->samples(rows.slice(0, i, i + 1), torch::kCPU)[0], batch[i])) << "row " << i;
  }
}

void two_objects_serve_the_same(const Subject& subject) {
  const auto one = make_dataset(subject.plugin), two = make_dataset(subject.plugin);
  EXPECT_EQ(one->digest(), two->digest());
  const SplitInfo info = one->open();
  two->open();
  const torch::Tensor rows = torch::arange(std::min<std::int64_t>(info.size, 8));
  EXPECT_TRUE(torch::equal(one->labels(), two->labels()));
  if (info.kind == SampleKind::text) {
    EXPECT_EQ(written(one->texts(rows)), written(two->texts(rows)));
    return;
  }
  EXPECT_TRUE(torch::equal(one->samples(rows, torch::kCPU), two->samples(rows, torch::kCPU)));
}

void captions_are_sentences(const Subject& subject) {
  const auto dataset = make_dataset(subject.plugin);
  const SplitInfo info = dataset->open();
  if (info.kind != SampleKind::image_text) GTEST_SKIP() << "has no captions";
  const torch::Tensor rows = torch::tensor({info.size - 1, std::int64_t{0}, info.size / 2}, torch::kInt64);
  const std::vector<Text> captions = dataset->texts(rows);
  ASSERT_EQ(captions.size(), 3U);
  for (std::int64_t i = 0; i < 3; ++i) {
    const Text& caption = captions[static_cast<std::size_t>(i)];
    EXPECT_FALSE(caption.second) << "row " << i << " has a second text";
    EXPECT_EQ(written(dataset->texts(rows.slice(0, i, i + 1))), written({caption})) << "row " << i;
  }
}

}  // namespace

const std::vector<Check>& dataset_checks() {
  static const std::vector<Check> checks = {
      {"LabelsAreInsideTheClasses", labels_are_inside_the_classes},
      {"SamplesHaveTheDeclaredShape", samples_have_the_declared_shape},
      {"ASampleIsTheSameAloneAndInABatch", a_sample_is_the_same_alone_and_in_a_batch},
      {"TwoObjectsServeTheSame", two_objects_serve_the_same},
      {"CaptionsAreSentences", captions_are_sentences}};
  return checks;
}

}  // namespace nmlbench::conformance
