// Frozen features that somebody else computed.
#include "datasets/common/arrays.h"
#include "datasets/common/labelled_images.h"

#include <nmlbench/compat.h>
#include <nmlbench/digest.h>
#include <nmlbench/plugin.h>

#include <algorithm>
#include <cmath>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kCheckRows = 4096;  // rows converted and checked at a time
constexpr double kLargestFeature = 1e15, kSmallestFeature = 1e-15;
constexpr std::int64_t kResidentBytes = std::int64_t{1} << 30;  // above, rows are read from the mapped file

class FeatureFiles : public Dataset {
 public:
  static constexpr ParamSpec kParams[] = {
      path("x", nullptr, "features [N, D]: .npy of float16, float32 or float64, or .safetensors"),
      path("y", "", "labels [N]: .npy of integers; not needed when x is a .safetensors file that holds them"),
      text("x_name", "x", "name of the features in a .safetensors file"),
      text("y_name", "y", "name of the labels in a .safetensors file"),
      integer("classes", "0", "labels must be below it; 0 takes the largest label and one")
          .as(Role::classes)
          .range(0, 1e9),
      text("domain", "", "names the test set; \"\" when the data have no domains").as(Role::domain),
      integer("limit", "0", "use so many rows, the same share of each class; 0 uses all").in("rows").range(0, 1e12),
      integer("limit_seed", "0", "chooses the rows under a limit").range(0, 1e15),
  };

  explicit FeatureFiles(const Params& params) : params_(params) {}

  SplitInfo open() override {
    x_ = read("x");
    y_ = read("y");
    check_shapes();
    check_features();
    check_labels();
    rows_ = stratified_limit(y_, params_.integer("limit"), params_.integer("limit_seed"));
    y_ = y_.index_select(0, rows_);
    SplitInfo info;
    info.size = rows_.size(0);
    info.full_size = x_.size(0);
    info.classes = classes_;
    info.kind = SampleKind::feature;
    info.sample_shape = {x_.size(1)};
    info.domain = params_.text("domain");
    info.fits_in_memory = info.size * x_.size(1) * static_cast<std::int64_t>(sizeof(float)) <= kResidentBytes;
    return info;
  }

  std::string digest() override {
    Digest digest;
    digest.update("features/1").update(digest_of_file(file_of("x"))).update(digest_of_file(file_of("y")));
    digest.update(params_.text("x_name")).update(params_.text("y_name"));
    digest.update(std::to_string(params_.integer("classes")));
    digest.update(limit_identity(params_.integer("limit"), [&] { return read("y").to(torch::kInt64); }));
    digest.update(std::to_string(params_.integer("limit_seed")));
    return digest.hex();
  }

  torch::Tensor labels() override { return y_; }
  torch::Tensor rows() override { return rows_; }

  torch::Tensor samples(const torch::Tensor& indices, torch::Device device) override {
    return send(x_.index_select(0, rows_.index_select(0, indices)).to(torch::kFloat32), device);
  }

 private:
  // Labels stand in the file of the features unless they have their own.
  fs::path file_of(const std::string& what) const {
    const fs::path x = params_.path("x"), own = params_.path(what);
    if (!own.empty()) return own;
    if (x.extension() != ".safetensors")
      throw DataError(x.string() + ": holds features only; `y` must name the file of the labels");
    return x;
  }

  torch::Tensor read(const std::string& what) const {
    const fs::path file = file_of(what);
    if (file.extension() == ".safetensors") return read_safetensors(file, params_.text(what + "_name"), what + "_name");
    return read_npy(file);
  }

  void check_shapes() const {
    if (x_.dim() != 2 || !x_.is_floating_point() || x_.numel() == 0) {
      throw DataError(file_of("x").string() + ": features are a float array [N, D] with N, D >= 1, found " +
                      c10::toString(x_.scalar_type()) + " " + c10::str(x_.sizes()));
    }
    if (y_.dim() != 1 || y_.is_floating_point() || y_.size(0) != x_.size(0)) {
      throw DataError(file_of("y").string() + ": labels are an integer array [" + std::to_string(x_.size(0)) +
                      "], one for each row of x, found " + c10::toString(y_.scalar_type()) + " " +
                      c10::str(y_.sizes()));
    }
  }

  // Every number is finite, also as float32, and of a size whose squares float32 can tell from 0 and infinity: beyond,
  // heads would learn from rounding.
  void check_features() const {
    double largest = 0;
    for (std::int64_t begin = 0; begin < x_.size(0); begin += kCheckRows) {
      const torch::Tensor rows = x_.slice(0, begin, std::min(begin + kCheckRows, x_.size(0))).to(torch::kFloat32);
      const double most = rows.abs().max().item<double>();
      if (most <= kLargestFeature) {  // false for NaN
        largest = std::max(largest, most);
        continue;
      }
      const bool finite = std::isfinite(most);
      const torch::Tensor bad = (finite ? rows.abs() > kLargestFeature : torch::isfinite(rows).logical_not()).nonzero();
      const std::string place = file_of("x").string() + ": row " +
                                std::to_string(begin + bad[0][0].item<std::int64_t>()) + ", column " +
                                std::to_string(bad[0][1].item<std::int64_t>());
      if (!finite) throw DataError(place + " is NaN or infinite (as float32); repair or remove such rows");
      throw DataError(place + " is beyond 1e15, and sums of squares would overflow float32; scale the features");
    }
    if (largest >= kSmallestFeature) return;
    throw DataError(file_of("x").string() + (largest == 0 ? ": all features are 0"
                                                          : ": all features are below 1e-15, and squares of them would "
                                                            "vanish in float32; scale the features"));
  }

  void check_labels() {
    y_ = y_.to(torch::kInt64);
    const auto smallest = y_.min().item<std::int64_t>(), largest = y_.max().item<std::int64_t>();
    constexpr std::int64_t kMostClasses = 1'000'000'000;
    const std::int64_t declared = params_.integer("classes");
    classes_ = declared > 0 ? declared : std::min(largest, kMostClasses - 1) + 1;
    const bool negative = smallest < 0;
    if (!negative && largest < classes_) return;
    const std::int64_t row = (negative ? y_.argmin() : y_.argmax()).item<std::int64_t>();
    throw DataError(file_of("y").string() + ": row " + std::to_string(row) + " has label " +
                    std::to_string(negative ? smallest : largest) + ", outside [0, " + std::to_string(classes_) + ")");
  }

  Params params_;
  torch::Tensor x_;     // [N, D], mapped
  torch::Tensor y_;     // int64
  torch::Tensor rows_;  // int64, the rows in use
  std::int64_t classes_ = 0;
};

// Sentence features of GLUE (Wang et al. 2019) and GLUE-X (Yang et al. 2023), one folder for each task: what a language
// model of one's own made of the texts.
class GlueFeatures : public FeatureFiles {
 public:
  static constexpr ParamSpec kParams[] = {
      path("path", nullptr, "folder with TASK/SPLIT_x.npy (float [N, D]) and TASK/SPLIT_y.npy (integers [N])")
          .as(Role::data_folder),
      text("task", nullptr,
           "sub-folder: cola, sst2, mrpc, qqp, mnli, qnli, rte, or a test set of GLUE-X: imdb, snli, .."),
      text("split", "train", "train, validation, test, ..").as(Role::split),
      integer("classes", "0", "labels must be below it; 0 takes the largest label and one")
          .as(Role::classes)
          .range(0, 1e9),
      text("domain", "", "names the test set; \"\" is the task").as(Role::domain),
      integer("limit", "0", "use so many rows, the same share of each class; 0 uses all").in("rows").range(0, 1e12),
      integer("limit_seed", "0", "chooses the rows under a limit").range(0, 1e15),
  };

  explicit GlueFeatures(const Params& params) : FeatureFiles(as_files(params)) {}

 private:
  static Params as_files(const Params& params) {
    const fs::path stem = params.path("path") / params.text("task") / params.text("split");
    std::map<std::string, ParamValue> values = params.values();
    values["x"] = stem.string() + "_x.npy";
    values["y"] = stem.string() + "_y.npy";
    values["x_name"] = std::string("x");
    values["y_name"] = std::string("y");
    if (params.text("domain").empty()) values["domain"] = params.text("task");
    return Params(std::move(values));
  }
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-features", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::FeatureFiles>("features", 1,
                                                                  "frozen features from .npy or .safetensors files",
                                                                  ""),
                 nmlbench::entry<nmlbench::plugins::GlueFeatures>("glue-features", 1,
                                                                  "frozen sentence features of GLUE and GLUE-X tasks",
                                                                  "Wang et al. 2019; Yang et al. 2023"));
