// torchscript: any model of images that somebody exported with torch.jit.save(), and what it wants of them, which the
// file says in its entry nmlbench.json (tools/export_encoder.py writes both).
#include <nmlbench/plugin.h>

#include <filesystem>
#include <map>
#include <string>

#include <caffe2/serialize/inline_container.h>
#include <nlohmann/json.hpp>
#include <torch/script.h>

namespace nmlbench::plugins {
namespace {

constexpr const char* kEntry = "extra/nmlbench.json";  // torch.jit.save(..., _extra_files={"nmlbench.json": ...})

// Messages of LibTorch go on for many lines.
std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

nlohmann::json about(const std::filesystem::path& file) {
  try {
    caffe2::serialize::PyTorchStreamReader reader(file.string());
    if (!reader.hasRecord(kEntry)) {
      throw DataError(file.string() +
                      ": does not say what images its model wants; export it with tools/export_encoder.py, or give "
                      "torch.jit.save() _extra_files={\"nmlbench.json\": ...} (docs/DESIGN.md)");
    }
    const auto [data, size] = reader.getRecord(kEntry);
    const auto* begin = static_cast<const char*>(data.get());
    return nlohmann::json::parse(begin, begin + size);
  } catch (const c10::Error& error) {
    throw DataError(file.string() + ": is no file of torch.jit.save(): " + first_line(error.what_without_backtrace()));
  } catch (const nlohmann::json::exception& error) {
    throw DataError(file.string() + ": its nmlbench.json cannot be read: " + error.what());
  }
}

void require(bool holds, const std::filesystem::path& file, const std::string& what) {
  if (!holds) throw DataError(file.string() + ": its nmlbench.json is wrong: " + what);
}

InputSpec input_spec(const std::filesystem::path& file) {
  const nlohmann::json json = about(file);
  InputSpec spec;
  Preprocessing how;
  try {
    spec.channels = json.value("channels", 3);
    spec.height = spec.width = json.at("size").get<std::int64_t>();
    how.resize = json.at("resize").get<std::string>();
    how.crop_pct = json.at("crop_pct").get<double>();
    how.interpolation = json.at("interpolation").get<std::string>();
    spec.mean = json.at("mean").get<std::vector<double>>();
    spec.std = json.at("std").get<std::vector<double>>();
  } catch (const nlohmann::json::exception& error) {
    throw DataError(file.string() + ": its nmlbench.json is wrong: " + error.what());
  }
  require(spec.channels == 1 || spec.channels == 3, file, "channels are 1 or 3");
  require(spec.height > 0 && spec.height <= 4096, file, "size is between 1 and 4096 px");
  require(how.resize == "squash" || how.resize == "crop" || how.resize == "crop-ceil", file,
          "resize is \"squash\", \"crop\" or \"crop-ceil\"");
  require(how.crop_pct > 0.05 && how.crop_pct <= 1, file, "crop_pct is in (0.05, 1]");
  require(how.interpolation == "bilinear" || how.interpolation == "bicubic", file,
          "interpolation is \"bilinear\" or \"bicubic\"");
  for (const auto* colours : {&spec.mean, &spec.std}) {
    require(colours->size() == 1 || static_cast<std::int64_t>(colours->size()) == spec.channels, file,
            "mean and std have a number for each channel, or one for all");
  }
  for (const double deviation : spec.std) require(deviation > 0, file, "std is positive");
  spec.preprocessing = how;
  return spec;
}

class TorchScript : public Encoder {
 public:
  static constexpr ParamSpec kParams[] = {
      path("path", nullptr, "file of torch.jit.save(): a module from float32 [B, C, size, size] to features [B, D]"),
      text("output", "", "of a dict the entry, of a tuple the number that is the features; \"\": it gives them alone"),
  };

  explicit TorchScript(const Params& params) : file_(params.path("path")), output_(params.text("output")) {}

  void build(const InputInfo& input, const Stream&) override {
    require_images(input, "torchscript");
    const InputSpec spec = this->input();
    try {
      module_ = torch::jit::load(file_.string(), torch::kCPU);
    } catch (const std::exception& error) {
      throw DataError(file_.string() +
                      ": this LibTorch (" TORCH_VERSION ") cannot load it: " + first_line(error.what()));
    }
    module_.eval();
    register_weights();
    const torch::NoGradGuard no_grad;
    dim_ = run(torch::zeros({2, spec.channels, spec.height, spec.width})).size(1);
  }

  InputSpec input() const override {
    if (!spec_) spec_ = input_spec(file_);
    return *spec_;
  }
  std::int64_t feature_dim() const override { return dim_; }
  torch::Tensor features(const Batch& batch) override { return run(batch.x); }
  bool trainable() const override { return false; }

 private:
  // The file's own tensors, under their names, for tuners that move the encoder.
  void register_weights() {
    std::map<std::string, torch::nn::Module*> modules;
    const auto place = [&](const std::string& name) {
      const std::size_t dot = name.rfind('.');
      torch::nn::Module& owner = dot == std::string::npos ? *this : module_at(name.substr(0, dot), modules);
      return std::pair<torch::nn::Module&, std::string>(owner, name.substr(dot + 1));
    };
    for (const auto& item : module_.named_parameters()) {
      const auto& [owner, name] = place(item.name);
      owner.register_parameter(name, item.value, /*requires_grad=*/false);
    }
    for (const auto& item : module_.named_buffers()) {
      const auto& [owner, name] = place(item.name);
      owner.register_buffer(name, item.value);
    }
  }

  torch::nn::Module& module_at(const std::string& path, std::map<std::string, torch::nn::Module*>& modules) {
    const auto known = modules.find(path);
    if (known != modules.end()) return *known->second;
    const std::size_t dot = path.rfind('.');
    torch::nn::Module& parent = dot == std::string::npos ? *this : module_at(path.substr(0, dot), modules);
    const auto child = parent.register_module(path.substr(dot + 1), std::make_shared<torch::nn::Module>());
    modules.emplace(path, child.get());
    return *child;
  }

  torch::Tensor run(const torch::Tensor& x) {
    if (device_ != x.device()) {
      module_.to(x.device());
      device_ = x.device();
    }
    torch::Tensor features;
    try {
      features = tensor_of(module_.forward({x}));
    } catch (const DataError&) {
      throw;
    } catch (const std::exception& error) {  // the interpreter's own
      throw DataError(file_.string() + ": its module fails on images " + c10::str(x.sizes()) + ": " +
                      first_line(error.what()));
    }
    if (features.dim() > 2) features = features.flatten(1);  // [B, D, 1, 1]
    if (features.dim() != 2 || features.size(0) != x.size(0) || !features.is_floating_point()) {
      throw DataError(file_.string() + ": its module gives " + c10::str(features.sizes()) + " for images " +
                      c10::str(x.sizes()) + "; features [B, D] of floating point are needed");
    }
    return features;
  }

  torch::Tensor tensor_of(const c10::IValue& value) const {
    if (output_.empty()) {
      if (value.isTensor()) return value.toTensor();
      throw DataError(file_.string() + ": its module gives " + value.type()->str() +
                      ", no tensor; `output` says which entry");
    }
    if (value.isGenericDict()) {
      const auto dict = value.toGenericDict();
      const auto entry = dict.find(output_);
      if (entry != dict.end() && entry->value().isTensor()) return entry->value().toTensor();
    } else if (value.isTuple() && output_.find_first_not_of("0123456789") == std::string::npos) {
      const auto& entries = value.toTupleRef().elements();
      const std::size_t i = std::stoul(output_.substr(0, 9));
      if (i < entries.size() && entries[i].isTensor()) return entries[i].toTensor();
    }
    throw DataError(file_.string() + ": its module gives " + value.type()->str() + ", in which no tensor is called \"" +
                    output_ + "\"");
  }

  std::filesystem::path file_;
  std::string output_;
  mutable std::optional<InputSpec> spec_;
  torch::jit::Module module_;
  torch::Device device_{torch::kCPU};
  std::int64_t dim_ = 0;
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-torchscript", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::TorchScript>("torchscript", 1,
                                                                 "any model of images, as torch.jit.save() wrote it",
                                                                 ""));
