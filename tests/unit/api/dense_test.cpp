// Pointers into tensors are given out for the layouts that kernels read, and refused for all others.
#include <nmlbench/dense.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(DenseData, IsTheFirstNumberOfAContiguousTensor) {
  const torch::Tensor t = torch::arange(12, torch::kInt64).view({3, 4});
  EXPECT_EQ(dense_data<std::int64_t>(t)[5], 5);
  EXPECT_EQ(dense_data<const std::int64_t>(t.narrow(0, 1, 2))[0], 4);  // rows of a matrix lie together
}

TEST(DenseData, RefusesAViewWithGapsAndSaysWhereAndWhat) {
  const torch::Tensor t = torch::zeros({2, 3}).t();
  EXPECT_THAT([&] { dense_data<float>(t); },
              ThrowsMessage<Error>(AllOf(HasSubstr("dense_test.cpp"), HasSubstr("[3, 2] with strides [1, 3]"))));
}

TEST(DenseData, RefusesAnotherTypeAndAnUndefinedTensor) {
  EXPECT_THAT([] { dense_data<float>(torch::zeros({2}, torch::kFloat64)); },
              ThrowsMessage<Error>(HasSubstr("of type Float, got Double")));
  EXPECT_THAT([] { dense_data<float>(torch::Tensor()); }, ThrowsMessage<Error>(HasSubstr("undefined")));
}

TEST(DenseData, TakesImagesInTheOrderThatIsAskedFor) {
  const torch::Tensor last = torch::zeros({2, 3, 4, 5}).contiguous(torch::MemoryFormat::ChannelsLast);
  EXPECT_NO_THROW(dense_data<float>(last, torch::MemoryFormat::ChannelsLast));
  EXPECT_THROW(dense_data<float>(last), Error);
}

TEST(DenseData, StridedAccessChecksTypeAndDeviceOnly) {
  EXPECT_NO_THROW(strided_data<float>(torch::zeros({2, 3}).t()));
  EXPECT_THROW(strided_data<std::uint8_t>(torch::zeros({2, 3})), Error);
}

}  // namespace
}  // namespace nmlbench
