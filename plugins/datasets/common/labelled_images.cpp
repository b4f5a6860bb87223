#include "labelled_images.h"

#include <nmlbench/digest.h>
#include <nmlbench/random.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <queue>
#include <tuple>

#include <torch/nn.h>

namespace nmlbench::plugins {
namespace {

namespace F = torch::nn::functional;

double by_severity(std::int64_t severity, const std::array<double, 5>& values) {
  return values[static_cast<std::size_t>(severity - 1)];
}

// Draws of one purpose, one row a sample: [B, n].
torch::Tensor sample_draws(const torch::Tensor& number, const char* purpose, std::int64_t n, bool normal) {
  torch::Tensor rows = torch::empty({number.size(0), n});
  const Stream root = Stream(0).at("corruption").at(purpose);
  for (std::int64_t i = 0; i < number.size(0); ++i) {
    const Stream own = root.at(number[i].item<std::int64_t>());
    rows[i].copy_(normal ? own.normal({n}) : own.uniform({n}, -1.0, 1.0));
  }
  return rows;
}

torch::Tensor gaussian_blur(const torch::Tensor& x, double sigma) {
  const auto radius = static_cast<std::int64_t>(std::ceil(3 * sigma));
  const torch::Tensor at = torch::arange(-radius, radius + 1, torch::kFloat32);
  torch::Tensor kernel = (-(at * at) / (2 * sigma * sigma)).exp();
  kernel = kernel / kernel.sum();
  const std::int64_t c = x.size(1), n = kernel.size(0);
  const torch::Tensor padded = F::pad(x, F::PadFuncOptions({radius, radius, radius, radius}).mode(torch::kReplicate));
  const auto options = F::Conv2dFuncOptions().groups(c);
  const torch::Tensor across = F::conv2d(padded, kernel.view({1, 1, 1, n}).expand({c, 1, 1, n}), options);
  return F::conv2d(across, kernel.view({1, 1, n, 1}).expand({c, 1, n, 1}), options);
}

// Each image under its own affine map [B, 2, 3], zero outside.
torch::Tensor warp(const torch::Tensor& x, const torch::Tensor& theta) {
  const torch::Tensor grid = F::affine_grid(theta, x.sizes(), /*align_corners=*/false);
  return F::grid_sample(
      x, grid, F::GridSampleFuncOptions().mode(torch::kBilinear).padding_mode(torch::kZeros).align_corners(false));
}

torch::Tensor rotations(const torch::Tensor& angle) {
  const torch::Tensor zero = torch::zeros_like(angle);
  return torch::stack({angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero}, 1).view({-1, 2, 3});
}

// What a limit keeps of one class.
struct ClassShare {
  std::int64_t label, rows;
  double exact;
  std::int64_t keep;
};

// Each share rounded for itself, at least one.
std::vector<ClassShare> rounded_shares(const torch::Tensor& labels, std::int64_t limit) {
  const auto [classes, inverse, counts] = torch::_unique2(labels, /*sorted=*/true, false, /*return_counts=*/true);
  std::vector<ClassShare> shares;
  for (std::int64_t i = 0; i < classes.size(0); ++i) {
    const auto rows = counts[i].item<std::int64_t>();
    const double exact = static_cast<double>(limit) * static_cast<double>(rows) / static_cast<double>(labels.size(0));
    shares.push_back({classes[i].item<std::int64_t>(), rows, exact, std::max<std::int64_t>(1, std::llround(exact))});
  }
  return shares;
}

std::int64_t kept_by(const std::vector<ClassShare>& shares) {
  std::int64_t kept = 0;
  for (const ClassShare& share : shares) kept += share.keep;
  return kept;
}

// Adds rows to the classes that are furthest below their share, or takes them from those furthest above it; no class
// loses its last row while another has more. Draws decide between equal ones.
void make_exact(std::vector<ClassShare>& shares, std::int64_t limit, const Stream& draws) {
  const torch::Tensor order = draws.at("classes").permutation(static_cast<std::int64_t>(shares.size()));
  std::int64_t kept = kept_by(shares);
  const std::int64_t step = kept < limit ? 1 : -1;
  for (const std::int64_t least : {1, 0}) {
    using Candidate = std::tuple<double, std::int64_t, ClassShare*>;  // distance from its share, draw
    std::priority_queue<Candidate> candidates;
    const auto offer = [&](ClassShare& share, std::int64_t draw) {
      if (step > 0 ? share.keep == share.rows : share.keep <= least) return;
      candidates.emplace(static_cast<double>(step) * (share.exact - static_cast<double>(share.keep)), draw, &share);
    };
    for (std::size_t i = 0; i < shares.size(); ++i)
      offer(shares[i], order[static_cast<std::int64_t>(i)].item<std::int64_t>());
    for (; kept != limit && !candidates.empty(); kept += step) {
      const auto [gap, draw, share] = candidates.top();
      candidates.pop();
      share->keep += step;
      offer(*share, draw);
    }
  }
}

}  // namespace

torch::Tensor stratified_limit(const torch::Tensor& labels, std::int64_t limit, std::int64_t seed) {
  const std::int64_t n = labels.size(0);
  if (limit <= 0 || limit >= n) return torch::arange(n);
  const Stream draws = Stream(static_cast<std::uint64_t>(seed)).at("limit");
  std::vector<ClassShare> shares = rounded_shares(labels, limit);
  make_exact(shares, limit, draws);
  std::vector<torch::Tensor> chosen;
  for (const ClassShare& share : shares) {
    const torch::Tensor rows = (labels == share.label).nonzero().view(-1);
    chosen.push_back(rows.index_select(0, draws.at(share.label).permutation(share.rows).slice(0, 0, share.keep)));
  }
  return std::get<0>(torch::cat(chosen).sort());
}

std::string limit_identity(std::int64_t limit, const std::function<torch::Tensor()>& labels) {
  std::string text = std::to_string(limit);
  if (limit <= 0) return text;
  const torch::Tensor y = labels();
  if (y.dim() != 1 || limit >= y.size(0)) return text;
  return kept_by(rounded_shares(y, limit)) == limit ? text : text + " exactly";
}

torch::Tensor corrupt_images(const torch::Tensor& images, const torch::Tensor& number, const std::string& corruption,
                             std::int64_t severity) {
  if (corruption == "none") return images;
  if (corruption == "negative") return 255 - images;
  torch::Tensor x = images.to(torch::kFloat32).div(255);
  if (corruption == "gaussian-noise") {
    const double deviation = by_severity(severity, {0.08, 0.12, 0.18, 0.26, 0.38});
    const std::int64_t pixels = x[0].numel();
    x = x + deviation * sample_draws(number, "gaussian-noise", pixels, true).view(x.sizes());
  } else if (corruption == "blur") {
    x = gaussian_blur(x, by_severity(severity, {0.6, 0.9, 1.3, 1.8, 2.5}));
  } else if (corruption == "contrast") {
    const torch::Tensor mean = x.mean({2, 3}, /*keepdim=*/true);
    x = (x - mean) * by_severity(severity, {0.6, 0.45, 0.3, 0.2, 0.1}) + mean;
  } else if (corruption == "rotate") {
    const double largest = by_severity(severity, {10, 20, 30, 45, 60}) * std::numbers::pi / 180;
    x = warp(x, rotations(sample_draws(number, "rotate", 1, false).view(-1) * largest));
  } else {  // translate
    const double largest = by_severity(severity, {0.1, 0.15, 0.2, 0.3, 0.4});
    torch::Tensor theta = rotations(torch::zeros({x.size(0)}));
    theta.select(2, 2).copy_(sample_draws(number, "translate", 2, false) * largest);
    x = warp(x, theta);
  }
  return x.clamp(0, 1).mul(255).round().to(torch::kUInt8);
}

const LabelledImages& LabelledImageDataset::all() {
  if (!all_) all_ = read();
  return *all_;
}

SplitInfo LabelledImageDataset::open() {
  const LabelledImages all = this->all();
  all_.reset();
  kept_ = stratified_limit(all.labels, params_.integer("limit"), params_.integer("limit_seed"));
  data_ = all;
  if (kept_.size(0) < all.labels.size(0)) {
    data_.images = all.images.index_select(0, kept_);
    data_.labels = all.labels.index_select(0, kept_);
  }
  SplitInfo info;
  info.size = data_.labels.size(0);
  info.full_size = all.labels.size(0);
  info.classes = data_.classes;
  info.kind = SampleKind::image;
  info.sample_shape = data_.images.sizes().slice(1).vec();
  info.domain = params_.text("domain");
  info.class_names = data_.class_names;
  return info;
}

std::string LabelledImageDataset::digest() {
  Digest digest;
  digest.update("labelled-images/1").update(choices());
  for (const auto& file : files()) digest.update(digest_of_file(file));
  digest.update(limit_identity(params_.integer("limit"), [&] { return all().labels; }));
  for (const char* name : {"limit_seed", "severity"}) digest.update(std::to_string(params_.integer(name)));
  digest.update(params_.text("corruption"));
  return digest.hex();
}

torch::Tensor LabelledImageDataset::samples(const torch::Tensor& indices, torch::Device device) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor images = data_.images.index_select(0, indices);
  return corrupt_images(images, kept_.index_select(0, indices), params_.text("corruption"), params_.integer("severity"))
      .to(device);
}

}  // namespace nmlbench::plugins
