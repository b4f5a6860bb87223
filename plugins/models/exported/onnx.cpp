// onnx: any model of images in the format of onnx.ai, by ONNX Runtime, on the CPU and in the precision of the file.
#include "exported_model.h"

#include <nmlbench/compat.h>
#include <nmlbench/dense.h>

#include <ATen/Parallel.h>
#include <onnxruntime_cxx_api.h>

namespace nmlbench::plugins {
namespace {

using Shape = std::vector<std::int64_t>;

// A number that the file leaves open is -1.
std::string in_words(const Shape& shape) {
  return c10::str(c10::IntArrayRef(shape));
}

class Onnx : public ExportedModel {
 public:
  static constexpr ParamSpec kParams[] = {
      path("path", nullptr, "an .onnx file: from float32 [B, C, size, size] to features [B, D], for any B"),
      text("output", "", "name of the output that is the features; \"\": there is one alone"),
  };

  explicit Onnx(const Params& params) : ExportedModel("onnx", params) {}

 private:
  // An entry of the model's metadata.
  std::optional<std::string> about() const override {
    const auto entry = session().GetModelMetadata().LookupCustomMetadataMapAllocated(kAboutEntry, allocator_);
    if (!entry) return std::nullopt;
    return std::string(entry.get());
  }

  void load() override {
    if (session().GetInputCount() != 1) {
      throw DataError(file().string() + ": its model takes " + std::to_string(session().GetInputCount()) +
                      " inputs; one of images is needed");
    }
    const Ort::TypeInfo info = session().GetInputTypeInfo(0);
    if (info.GetONNXType() != ONNX_TYPE_TENSOR ||
        info.GetTensorTypeAndShapeInfo().GetElementType() != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT) {
      throw DataError(file().string() + ": the input of its model is no float32 tensor; export it in float32");
    }
    const Shape shape = info.GetTensorTypeAndShapeInfo().GetShape();
    if (shape.size() != 4 || shape[0] >= 0) {
      throw DataError(file().string() + ": its model takes " + in_words(shape) +
                      "; images [B, C, size, size] with a B that the file leaves open (-1) are needed; export it with "
                      "a dynamic first axis");
    }
    input_name_ = session().GetInputNameAllocated(0, allocator_).get();
    output_name_ = chosen_output();
  }

  torch::Tensor run(const torch::Tensor& x) override {
    torch::Tensor images = x.to(torch::kCPU, torch::kFloat32).contiguous();
    const Ort::Value in = Ort::Value::CreateTensor<float>(
        Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault), dense_data<float>(images),
        static_cast<std::size_t>(images.numel()), images.sizes().data(), static_cast<std::size_t>(images.dim()));
    const char* input = input_name_.c_str();
    const char* output = output_name_.c_str();
    std::vector<Ort::Value> out = session().Run(Ort::RunOptions(), &input, &in, 1, &output, 1);
    const auto info = out.at(0).GetTensorTypeAndShapeInfo();
    if (info.GetElementType() != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT) {
      throw DataError(file().string() + ": its output " + output_name_ + " is no float32 tensor");
    }
    const Shape shape = info.GetShape();
    return send(torch::from_blob(out[0].GetTensorMutableData<float>(), shape).clone(), x.device());
  }

  std::string chosen_output() const {
    std::string names;
    for (std::size_t i = 0; i < session().GetOutputCount(); ++i) {
      const std::string name = session().GetOutputNameAllocated(i, allocator_).get();
      if (name == output() || (output().empty() && session().GetOutputCount() == 1)) return name;
      names += (names.empty() ? "" : ", ") + name;
    }
    if (!output().empty()) throw DataError(file().string() + ": has no output \"" + output() + "\"; it has " + names);
    throw DataError(file().string() + ": its model has several outputs (" + names + "); `output` says which");
  }

  // Opened when it is first asked for, with as many threads as LibTorch has by then.
  Ort::Session& session() const {
    static const Ort::Env environment(ORT_LOGGING_LEVEL_FATAL, "nmlbench");
    if (session_) return *session_;
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(at::get_num_threads());
    try {
      session_.emplace(environment, file().c_str(), options);
    } catch (const Ort::Exception& error) {
      throw DataError(file().string() + ": ONNX Runtime " + Ort::GetVersionString() +
                      " cannot load it: " + first_line(error.what()));
    }
    return *session_;
  }

  Ort::AllocatorWithDefaultOptions allocator_;
  mutable std::optional<Ort::Session> session_;
  std::string input_name_, output_name_;
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-onnx", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::Onnx>("onnx", 1, "any model of images in an .onnx file", ""));
