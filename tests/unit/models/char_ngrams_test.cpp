// Hashed n-grams of characters, against counts by hand.
#include "support/plugins.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench {
namespace {

using ::testing::HasSubstr;
using torch::Tensor;

std::shared_ptr<Encoder> ngrams(std::int64_t shortest, std::int64_t longest) {
  const testing::Values values = {{"dim", std::int64_t{1} << 20}, {"shortest", shortest}, {"longest", longest}};
  const auto encoder = make_encoder(testing::plugin(PluginKind::encoder, "char-ngrams", values));
  encoder->build({SampleKind::text, {}, 0}, Stream(0));
  return encoder;
}

Tensor features(Encoder& encoder, const std::vector<Text>& texts) {
  Batch batch;
  batch.texts = texts;
  return encoder.features(batch);
}

// Magnitudes that are not zero, ascending.
Tensor magnitudes(const Tensor& row) {
  return std::get<0>(row.masked_select(row != 0).abs().sort());
}

TEST(CharNgrams, AreCountedWithABlankAtEitherEnd) {
  const auto encoder = ngrams(1, 1);
  const Tensor rows = features(*encoder, {{"ab", {}}, {"\xC3\xA9", {}}});  // one character of two bytes
  EXPECT_TRUE(torch::allclose(magnitudes(rows[0]), torch::tensor({1.0, 1.0, 2.0}) / std::sqrt(6.0)));
  EXPECT_TRUE(torch::allclose(magnitudes(rows[1]), torch::tensor({1.0, 2.0}) / std::sqrt(5.0)));
}

TEST(CharNgrams, AllLengthsCount) {
  // " a ": three characters, two pairs, one triple, of which the blank is there twice
  const Tensor row = features(*ngrams(1, 3), {{"a", {}}})[0];
  EXPECT_TRUE(torch::allclose(magnitudes(row), torch::tensor({1.0, 1.0, 1.0, 1.0, 2.0}) / std::sqrt(8.0)));
}

TEST(CharNgrams, SmallAndLargeAsciiLettersAreTheSame) {
  const Tensor rows = features(*ngrams(1, 4), {{"A Fine Film", {}}, {"a fine film", {}}, {"a fine fil", {}}});
  EXPECT_TRUE(torch::equal(rows[0], rows[1]));
  EXPECT_FALSE(torch::equal(rows[0], rows[2]));
}

TEST(CharNgrams, OfPairsSayWhichTextTheyAreIn) {
  const auto encoder = ngrams(1, 1);
  const Tensor rows = features(*encoder, {{"a", "b"}, {"b", "a"}, {"a", "a"}, {"a", {}}});
  for (const auto& [i, j] : {std::pair{0, 1}, std::pair{0, 2}, std::pair{0, 3}, std::pair{2, 3}})
    EXPECT_FALSE(torch::equal(rows[i], rows[j])) << i << " " << j;
  // the four blanks are in both; "a" and "b" each in one
  EXPECT_TRUE(torch::allclose(magnitudes(rows[0]), torch::tensor({1.0, 1.0, 4.0}) / std::sqrt(18.0)));
}

TEST(CharNgrams, RefuseWhatIsNoText) {
  const auto encoder = make_encoder(testing::plugin(PluginKind::encoder, "char-ngrams"));
  try {
    encoder->build({SampleKind::image, {3, 8, 8}, 0}, Stream(0));
    FAIL() << "it took images";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("char-ngrams encodes texts, and the data are images"));
  }
}

}  // namespace
}  // namespace nmlbench
