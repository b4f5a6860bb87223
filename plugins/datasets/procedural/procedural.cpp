// The embedded data set: splits of the procedural image world.
#include "captions.h"
#include "world.h"

#include <nmlbench/compat.h>
#include <nmlbench/dense.h>
#include <nmlbench/digest.h>
#include <nmlbench/plugin.h>

#include <algorithm>
#include <string>

#include <ATen/Parallel.h>

namespace nmlbench::plugins {
namespace {

// Classes 0-79 are for pre-training; tasks have their own, never seen there.
struct TaskInfo {
  const char* name;
  std::int64_t first_class;
  std::int64_t classes;
  std::int64_t shared_texture;  // -1: every class its own
  std::int64_t shared_shape;
};
constexpr TaskInfo kPretrain = {"pretrain", 0, 80, -1, -1};
constexpr TaskInfo kTasks[] = {
    {"general", 1000, 20, -1, -1},    // coarse: shape, texture and palette differ
    {"shape", 1100, 10, 1150, -1},    // fine-grained: one texture, shapes differ
    {"texture", 1200, 10, -1, 1250},  // fine-grained: one shape, textures differ
    {"few", 1300, 20, -1, -1},        // coarse, other classes; meant for small training splits
};
constexpr std::int64_t kMaxClasses = 50;  // of a task: ids of tasks and shared traits lie 50 apart
constexpr const char* kDomains = "photo|sketch|painting|clipart|negative|corrupted|silhouette";

Domain domain_of(const std::string& name) {
  const std::string all = kDomains;
  const auto before = all.substr(0, all.find(name));
  return static_cast<Domain>(std::count(before.begin(), before.end(), '|'));
}

class Procedural : public Dataset {
 public:
  static constexpr ParamSpec kParams[] = {
      choice("split", "train", "pretrain|validation|train|test",
             "pretrain has classes of its own, larger and in several domains; validation has other samples of these")
          .as(Role::split),
      choice("task", "general", "general|shape|texture|few", "which classes train and test have"),
      choice("domain", "photo", kDomains, "how scenes are drawn").as(Role::domain),
      real("mix", "0", "fraction of samples that are drawn in another, random domain").range(0, 1),
      integer("classes", "0",
              "number of classes; 0 is the task's own: 80 pretrain, 20 general and few, 10 shape and texture")
          .as(Role::classes)
          .range(0, 10000),
      integer("per_class", "0", "samples of a class; 0 is 150 for pretrain, 60 else").in("samples").range(0, 1e7),
      integer("size", "32", "side of an image").in("px").range(8, 512),
      integer("seed", "0", "of the world: its classes and samples").range(0, 1e15),
      real("deform", "0.045", "how much a sample's contour differs from its class'").range(0, 1),
      real("rotation", "0.5", "largest rotation of a sample").in("rad").range(0, 3.15),
      integer("occluders", "2", "discs in front of the scene").range(0, 3),
      real("pixel_noise", "0.04", "deviation of the camera's noise").range(0, 1),
      boolean("captions", "false", "image-text pairs: each image with a sentence on what it shows"),
  };

  explicit Procedural(const Params& params)
      : params_(params),
        pretrain_(params.text("split") == "pretrain" || params.text("split") == "validation"),
        task_(pretrain_ ? kPretrain : find_task(params)) {
    const std::int64_t classes = params.integer("classes");
    classes_ = classes > 0 ? classes : task_.classes;
    const std::int64_t per_class = params.integer("per_class");
    per_class_ = per_class > 0 ? per_class : (params.text("split") == "pretrain" ? 150 : 60);
  }

  SplitInfo open() override {
    if (!pretrain_ && classes_ > kMaxClasses) {
      throw DataError("procedural: a task has at most " + std::to_string(kMaxClasses) + " classes");
    }
    if (pretrain_ && classes_ > kTasks[0].first_class) {
      throw DataError("procedural: the pretrain split has at most " + std::to_string(kTasks[0].first_class) +
                      " classes");
    }
    SplitInfo info;
    info.size = classes_ * per_class_;
    info.classes = classes_;
    info.kind = params_.boolean("captions") ? SampleKind::image_text : SampleKind::image;
    const std::int64_t side = params_.integer("size");
    info.sample_shape = {3, side, side};
    info.domain = params_.text("domain");
    for (std::int64_t c = 0; c < classes_; ++c) info.class_names.push_back(class_name(c));
    return info;
  }

  std::string digest() override {
    Digest digest;
    digest.update("procedural/2");
    for (const ParamSpec& spec : kParams) {
      if (spec.type == ParamType::boolean) continue;
      digest.update(spec.name);
      const ParamValue& value = params_.values().at(spec.name);
      if (const auto* text = std::get_if<std::string>(&value)) digest.update(*text);
      if (const auto* integer = std::get_if<std::int64_t>(&value)) digest.update(std::to_string(*integer));
      if (const auto* real = std::get_if<double>(&value)) digest.update(real, sizeof(*real));
    }
    if (params_.boolean("captions")) digest.update("captions/1");  // without, the data are what they always were
    return digest.hex();
  }

  // Sample i is number i / classes of class i % classes: every prefix of a split is balanced.
  torch::Tensor labels() override { return torch::arange(classes_ * per_class_).remainder(classes_); }

  torch::Tensor samples(const torch::Tensor& indices, torch::Device device) override {
    const std::int64_t side = params_.integer("size");
    torch::Tensor images = torch::empty({indices.size(0), 3, side, side}, torch::kUInt8);
    auto* pixels = dense_data<std::uint8_t>(images);
    const std::vector<SampleId> ids = ids_of(indices);
    const World world = this->world();
    at::parallel_for(0, indices.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        world.draw(ids[static_cast<std::size_t>(i)], pixels + i * 3 * side * side);
      }
    });
    return send(images, device);
  }

  std::vector<Text> texts(const torch::Tensor& indices) override {
    if (!params_.boolean("captions")) return Dataset::texts(indices);
    if (captions_.empty()) captions_ = all_captions();
    std::vector<Text> texts;
    for (std::int64_t i = 0; i < indices.size(0); ++i) {
      texts.push_back({captions_[static_cast<std::size_t>(dense_data<std::int64_t>(indices)[i])], {}});
    }
    return texts;
  }

 private:
  static TaskInfo find_task(const Params& params) {
    return *std::find_if(std::begin(kTasks), std::end(kTasks),
                         [&](const TaskInfo& task) { return params.text("task") == task.name; });
  }

  // The split's own domain, or a random other one for a fraction `mix` of the samples.
  Domain domain_at(std::int64_t index, const Stream& draws) const {
    const Domain own = domain_of(params_.text("domain"));
    const double mix = params_.real("mix");
    if (mix == 0) return own;
    const torch::Tensor u = draws.at(index).uniform({2});
    if (u[0].item<float>() >= mix) return own;
    constexpr std::int64_t kOthers = static_cast<std::int64_t>(Domain::silhouette);
    const auto step = 1 + std::min<std::int64_t>(kOthers - 1, static_cast<std::int64_t>(u[1].item<float>() * kOthers));
    return static_cast<Domain>((static_cast<std::int64_t>(own) + step) % (kOthers + 1));
  }

  std::vector<SampleId> ids_of(const torch::Tensor& indices) const {
    const Stream mixing = Stream(static_cast<std::uint64_t>(params_.integer("seed"))).at("mix");
    const auto* index = dense_data<std::int64_t>(indices);
    std::vector<SampleId> ids;
    for (std::int64_t i = 0; i < indices.size(0); ++i) {
      const std::int64_t id = class_id(index[i]);
      const ClassId of{task_.shared_shape >= 0 ? task_.shared_shape : id,
                       task_.shared_texture >= 0 ? task_.shared_texture : id, id};
      ids.push_back({of, index[i] / classes_, domain_at(index[i], mixing)});
    }
    return ids;
  }

  // As captions call it, or by its number.
  std::string class_name(std::int64_t c) const {
    if (params_.boolean("captions")) return class_noun(class_id(c));
    return std::string(task_.name).append("-").append(std::to_string(c));
  }

  // In the world, of sample `index` of the split.
  std::int64_t class_id(std::int64_t index) const { return task_.first_class + index % classes_; }

  World world() const {
    WorldOptions options;
    options.seed = static_cast<std::uint64_t>(params_.integer("seed"));
    options.size = params_.integer("size");
    options.deform = params_.real("deform");
    options.rotation = params_.real("rotation");
    options.occluders = params_.integer("occluders");
    options.pixel_noise = params_.real("pixel_noise");
    return World(options, params_.text("split"));
  }

  // Of all samples, in order.
  std::vector<std::string> all_captions() const {
    const Stream draws =
        Stream(static_cast<std::uint64_t>(params_.integer("seed"))).at("caption").at(params_.text("split"));
    const World world = this->world();
    std::vector<std::string> captions;
    for (const SampleId& id : ids_of(torch::arange(classes_ * per_class_))) {
      captions.push_back(caption_of(world.look(id), id.domain, id.of.palette, draws.at(id.of.palette).at(id.number)));
    }
    return captions;
  }

  Params params_;
  bool pretrain_;
  TaskInfo task_;
  std::int64_t classes_ = 0;
  std::int64_t per_class_ = 0;
  std::vector<std::string> captions_;  // of all samples; made when the first are asked for
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-procedural", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::Procedural>(
                     "procedural", 2, "an image world rendered on the fly: no download, any size", ""));
