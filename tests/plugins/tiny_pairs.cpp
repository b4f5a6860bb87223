// Image-text pairs for tests: image i is flat and of grey level i, its caption "number i".
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
  std::vector<Text> texts(const torch::Tensor& indices) override {
    std::vector<Text> captions;
    for (std::int64_t i = 0; i < indices.size(0); ++i) {
      captions.push_back({"number " + std::to_string(indices[i].item<std::int64_t>()), {}});
    }
    return captions;
  }

 private:
  std::int64_t size_;
};

}  // namespace

NMLBENCH_PLUGINS("tiny-pairs", "1.0.0", "MIT", "", entry<TinyPairs>("tiny-pairs", 1, "image-text pairs for tests", ""));
