// torchscript: any model of images that somebody exported with torch.jit.save().
#include "exported_model.h"

#include <map>

#include <caffe2/serialize/inline_container.h>
#include <torch/script.h>

namespace nmlbench::plugins {
namespace {

class TorchScript : public ExportedModel {
 public:
  static constexpr ParamSpec kParams[] = {
      path("path", nullptr, "file of torch.jit.save(): a module from float32 [B, C, size, size] to features [B, D]"),
      text("output", "", "of a dict the entry, of a tuple the number that is the features; \"\": it gives them alone"),
  };

  explicit TorchScript(const Params& params) : ExportedModel("torchscript", params) {}

 private:
  // torch.jit.save(..., _extra_files={"nmlbench.json": ...}) puts its entries into a folder.
  std::optional<std::string> about() const override {
    const std::string entry = std::string("extra/") + kAboutEntry;
    try {
      caffe2::serialize::PyTorchStreamReader reader(file().string());
      if (!reader.hasRecord(entry)) return std::nullopt;
      const auto [data, size] = reader.getRecord(entry);
      return std::string(static_cast<const char*>(data.get()), size);
    } catch (const c10::Error& error) {
      throw DataError(file().string() +
                      ": is no file of torch.jit.save(): " + first_line(error.what_without_backtrace()));
    }
  }

  void load() override {
    try {
      module_ = torch::jit::load(file().string(), torch::kCPU);
    } catch (const std::exception& error) {
      throw DataError(file().string() +
                      ": this LibTorch (" TORCH_VERSION ") cannot load it: " + first_line(error.what()));
    }
    module_.eval();
    register_weights();
  }

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

  torch::Tensor run(const torch::Tensor& x) override {
    if (device_ != x.device()) {
      module_.to(x.device());
      device_ = x.device();
    }
    const c10::IValue value = module_.forward({x});
    if (output().empty()) {
      if (value.isTensor()) return value.toTensor();
      throw DataError(file().string() + ": its module gives " + value.type()->str() +
                      ", no tensor; `output` says which entry");
    }
    if (value.isGenericDict()) {
      const auto dict = value.toGenericDict();
      const auto entry = dict.find(output());
      if (entry != dict.end() && entry->value().isTensor()) return entry->value().toTensor();
    } else if (value.isTuple() && output().find_first_not_of("0123456789") == std::string::npos) {
      const auto& entries = value.toTupleRef().elements();
      const std::size_t i = std::stoul(output().substr(0, 9));
      if (i < entries.size() && entries[i].isTensor()) return entries[i].toTensor();
    }
    throw DataError(file().string() + ": its module gives " + value.type()->str() +
                    ", in which no tensor is called \"" + output() + "\"");
  }

  torch::jit::Module module_;
  torch::Device device_{torch::kCPU};
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-torchscript", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::TorchScript>("torchscript", 1,
                                                                 "any model of images, as torch.jit.save() wrote it",
                                                                 ""));
