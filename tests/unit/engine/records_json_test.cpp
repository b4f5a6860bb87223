// What goes through the pipe of a worker process arrives as it was.
#include "engine/records_json.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace nmlbench {
namespace {

template <typename T>
T sent(const T& value) {
  return nlohmann::json::from_cbor(nlohmann::json::to_cbor(nlohmann::json(value))).template get<T>();
}

TEST(RecordsJson, NumbersKeepAllTheirBits) {
  CellRecord record;
  record.cell_id = "c";
  record.message = "bytes that are no text: \xff\xfe";
  record.metrics = {{"a", "id", "accuracy", 0.1 + 0.2}, {"b", "ood", "loss", std::nextafter(1.0, 2.0)}};
  record.spectra = {{"a", "raw", "column", 7, {0.1F, std::numeric_limits<float>::denorm_min()}}};
  record.confusion = {{"a", 3, {{0, 1, 5}, {2, 2, std::int64_t{1} << 40}}}};
  record.predictions = {{"a", "digest", 2, 3, std::make_shared<const Bytes>(Bytes{0, 255}), {7, 0, 128}}};
  record.loss_curve = {std::numeric_limits<float>::infinity(), std::nanf(""), -0.0F};
  record.candidates = {{2, "{}", "done", "", true, 0.1 + 0.2, std::nullopt}};
  record.transient = true;
  record.tune_seconds = 1e-300;
  const CellRecord back = sent(record);
  EXPECT_EQ(back.message, record.message);
  EXPECT_EQ(back.metrics[0].value, record.metrics[0].value);
  EXPECT_EQ(back.metrics[1].value, record.metrics[1].value);
  EXPECT_EQ(back.spectra[0].values, record.spectra[0].values);
  EXPECT_EQ(back.confusion[0].counts, record.confusion[0].counts);
  EXPECT_EQ(*back.predictions[0].labels, *record.predictions[0].labels);
  EXPECT_EQ(back.predictions[0].packed, record.predictions[0].packed);
  EXPECT_EQ(back.predictions[0].samples_digest, "digest");
  EXPECT_EQ(back.loss_curve[0], record.loss_curve[0]);
  EXPECT_TRUE(std::isnan(back.loss_curve[1]));
  EXPECT_TRUE(std::signbit(back.loss_curve[2]));
  EXPECT_EQ(back.tune_seconds, record.tune_seconds);
  EXPECT_EQ(back.candidates.at(0).accuracy, 0.1 + 0.2);
  EXPECT_FALSE(back.candidates.at(0).loss.has_value());
  EXPECT_TRUE(back.candidates.at(0).chosen);
  EXPECT_TRUE(back.transient);
  EXPECT_FALSE(back.evaluate_seconds.has_value());
}

TEST(RecordsJson, ParametersKeepTheirTypes) {
  const std::map<std::string, ParamValue> values = {{"bool", true},
                                                    {"int", std::int64_t{1}},
                                                    {"real", 1.0},
                                                    {"text", std::string("1")},
                                                    {"reals", std::vector<double>{}},
                                                    {"texts", std::vector<std::string>{"a", ""}}};
  EXPECT_EQ(sent(values), values);
}

TEST(RecordsJson, JobsAndStacksArrive) {
  const CheckpointJobResult result =
      sent(CheckpointJobResult{{}, std::nullopt, {{3, {"why", false}}, {12, {"else", true}}}});
  EXPECT_EQ(result.errors.at(12).message, "else");
  EXPECT_TRUE(result.errors.at(12).transient);
  EXPECT_FALSE(result.noise.has_value());
  EXPECT_EQ(sent(Stack{{{4, {1, 2}}, {5, {7, 9}}}}).units[1].cells, (std::vector<std::size_t>{7, 9}));
}

}  // namespace
}  // namespace nmlbench
