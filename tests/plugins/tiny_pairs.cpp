// Image-text pairs for tests: image i is flat and of grey level i, its caption the tokens [i + 1, 7].
#include <nmlbench/plugin.h>

namespace {

using namespace nmlbench;

class TinyPairs : public Dataset {
 public:
  static constexpr ParamSpec kParams[] = {integer("size", "20", "pairs").range(1, 250)};
  explicit TinyPairs(const Params& params) : size_(params.integer("size")) {}

  SplitInfo open() override {
    SplitInfo info;
    info.size = size_;
    info.classes = 2;
    info.kind = SampleKind::image_text;
    info.sample_shape = {3, 4, 4};
    return info;
  }
  std::string digest() override { return "tiny-pairs/" + std::to_string(size_); }
  torch::Tensor labels() override { return torch::arange(size_).remainder(2); }
  torch::Tensor samples(const torch::Tensor& indices, torch::Device device) override {
    return indices.to(torch::kUInt8).view({-1, 1, 1, 1}).expand({-1, 3, 4, 4}).contiguous().to(device);
  }
  torch::Tensor captions(const torch::Tensor& indices, torch::Device device) override {
    return torch::stack({indices + 1, torch::full_like(indices, 7)}, 1).to(device);
  }

 private:
  std::int64_t size_;
};

}  // namespace

NMLBENCH_PLUGINS("tiny-pairs", "1.0.0", "MIT", "", entry<TinyPairs>("tiny-pairs", 1, "image-text pairs for tests", ""));
