#include "world.h"

#include <cmath>
#include <map>
#include <numbers>

#include <torch/nn.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

constexpr double kPi = std::numbers::pi;
constexpr std::int64_t kHarmonics = 6;  // k = 2 .. 7
constexpr std::int64_t kWaves = 3;
constexpr std::int64_t kUniforms = 64;
constexpr std::int64_t kNormals = 18;

// Random numbers of a batch, one row a sample.
struct Draws {
  Tensor u;      // [B, 64] uniform
  Tensor n;      // [B, 18] normal
  Tensor pixel;  // [B, 3, S, S], mean 0, deviation 1; undefined where nothing is rendered

  // Column i as [B, 1, 1], to combine with images.
  Tensor at(std::int64_t i) const { return u.select(1, i).view({-1, 1, 1}); }
  // Columns i, i+1, i+2 as a colour [B, 3, 1, 1].
  Tensor colour(std::int64_t i) const { return u.slice(1, i, i + 3).view({-1, 3, 1, 1}); }
};

// What the classes of a batch are made of, one row a sample.
struct Traits {
  Tensor cosine, sine;              // [B, 6] contour coefficients
  Tensor frequency, angle, weight;  // [B, 3] texture waves
  Tensor first, second;             // [B, 3, 1, 1] palette
};

struct Scene {
  Tensor distance;                   // [B, S, S], to the contour, positive inside
  Tensor mask;                       // [B, S, S], 1 inside
  Tensor texture;                    // [B, S, S], in (-1, 1)
  Tensor colour1, colour2, ground1;  // [B, 3, 1, 1]
  Tensor lit;                        // [B, 3, S, S]: the photo before camera noise
};

Tensor scalar_image(const Tensor& x) {
  return x.unsqueeze(1);
}  // [B, S, S] -> [B, 1, S, S]
Tensor mix(const Tensor& a, const Tensor& b, const Tensor& share) {
  return a + (b - a) * share;
}
Tensor column(const Tensor& table, std::int64_t i) {
  return table.select(1, i).view({-1, 1, 1});
}

Tensor blur3(const Tensor& image) {
  namespace F = torch::nn::functional;
  const Tensor padded = F::pad(image, F::PadFuncOptions({1, 1, 1, 1}).mode(torch::kReplicate));
  return F::avg_pool2d(padded, F::AvgPool2dFuncOptions(3).stride(1));
}

// The streams of samples, by seed, class and index.
std::vector<Stream> sample_streams(const WorldOptions& options, const std::vector<ClassId>& classes,
                                   const std::vector<std::int64_t>& which, const std::vector<std::int64_t>& index,
                                   std::string_view purpose, Domain domain) {
  const Stream root = Stream(options.seed).at("sample").at(purpose).at(static_cast<std::int64_t>(domain));
  std::vector<Stream> streams;
  for (std::size_t i = 0; i < index.size(); ++i) {
    const ClassId& c = classes[static_cast<std::size_t>(which[i])];
    streams.push_back(root.at(c.shape).at(c.texture).at(index[i]));
  }
  return streams;
}

// All but the pixels' noise.
Draws scene_draws(const std::vector<Stream>& streams) {
  const auto b = static_cast<std::int64_t>(streams.size());
  Draws draws{torch::empty({b, kUniforms}), torch::empty({b, kNormals}), {}};
  for (std::int64_t i = 0; i < b; ++i) {
    const Stream& own = streams[static_cast<std::size_t>(i)];
    draws.u[i].copy_(own.at("uniform").uniform({kUniforms}));
    draws.n[i].copy_(own.at("normal").normal({kNormals}));
  }
  return draws;
}

Tensor pixel_draws(const std::vector<Stream>& streams, std::int64_t size) {
  const auto b = static_cast<std::int64_t>(streams.size());
  Tensor pixel = torch::empty({b, 3, size, size});
  for (std::int64_t i = 0; i < b; ++i) {
    pixel[i].copy_(streams[static_cast<std::size_t>(i)].at("pixel").uniform({3, size, size}));
  }
  return pixel.sub_(0.5).mul_(std::sqrt(12.0));
}

Traits make_traits(const WorldOptions& options, const std::vector<ClassId>& classes,
                   const std::vector<std::int64_t>& which, torch::Device device) {
  const Stream root = Stream(options.seed).at("class");
  std::vector<Tensor> contours, waves, palettes;
  for (const ClassId& c : classes) {
    const Tensor k = torch::arange(2, 2 + kHarmonics, torch::kFloat32);
    const Tensor scale = 0.20 * (2.0 / k).sqrt();
    contours.push_back((root.at("shape").at(c.shape).normal({2, kHarmonics}) * scale).flatten());
    waves.push_back(root.at("texture").at(c.texture).uniform({3 * kWaves}));
    palettes.push_back(root.at("palette").at(c.palette).uniform({6}));
  }
  const Tensor rows = torch::tensor(which, torch::kInt64);
  const auto gather = [&](const std::vector<Tensor>& table) {
    return torch::stack(table).index_select(0, rows).to(device);
  };
  const Tensor contour = gather(contours), wave = gather(waves), palette = gather(palettes);
  return {contour.slice(1, 0, kHarmonics),
          contour.slice(1, kHarmonics, 2 * kHarmonics),
          1.0 + 2.6 * wave.slice(1, 0, kWaves),
          kPi * wave.slice(1, kWaves, 2 * kWaves),
          0.4 + 0.6 * wave.slice(1, 2 * kWaves, 3 * kWaves),
          palette.slice(1, 0, 3).view({-1, 3, 1, 1}),
          palette.slice(1, 3, 6).view({-1, 3, 1, 1})};
}

// Of one sample's contour: the coefficients of its class, deformed; [B, 6] each.
struct Contour {
  Tensor cosine, sine;
};

Contour contour_of(const Traits& traits, const Draws& draws, double deform) {
  return {traits.cosine + deform * draws.n.slice(1, 0, kHarmonics),
          traits.sine + deform * draws.n.slice(1, kHarmonics, 2 * kHarmonics)};
}

// Of one sample's texture, before its pose: [B, 3] each.
struct Waves {
  Tensor frequency, angle;
};

Waves waves_of(const Traits& traits, const Draws& draws) {
  return {traits.frequency * (1 + 0.08 * draws.n.slice(1, 12, 15)), traits.angle + 0.06 * draws.n.slice(1, 15, 18)};
}

// r(phi) = 0.55 (1 + sum_k a_k cos k phi + b_k sin k phi), k from 2: a shift and a size are pose, not shape.
Tensor contour_radius(const Contour& contour, const Tensor& cos1, const Tensor& sin1) {
  Tensor cos_k = cos1 * cos1 - sin1 * sin1;  // cos 2 phi
  Tensor sin_k = 2 * sin1 * cos1;
  Tensor r = torch::ones_like(cos1);
  for (std::int64_t k = 0; k < kHarmonics; ++k) {
    const Tensor a = column(contour.cosine, k), b = column(contour.sine, k);
    r = r + a * cos_k + b * sin_k;
    const Tensor next = cos_k * cos1 - sin_k * sin1;
    sin_k = sin_k * cos1 + cos_k * sin1;
    cos_k = next;
  }
  return 0.55 * r.clamp(0.3, 1.7);
}

Tensor texture_of(const Traits& traits, const Draws& draws, const Tensor& x, const Tensor& y) {
  const Waves waves = waves_of(traits, draws);
  Tensor sum = torch::zeros_like(x);
  for (std::int64_t j = 0; j < kWaves; ++j) {
    const Tensor f = column(waves.frequency, j), angle = column(waves.angle, j);
    const Tensor along = angle.cos() * x + angle.sin() * y;
    sum = sum + column(traits.weight, j) * (2 * kPi * (f * along + draws.at(4 + j))).sin();
  }
  const Tensor deviation = (traits.weight.square().sum(1) / 2).sqrt().view({-1, 1, 1});
  return (1.5 / deviation * sum).tanh();
}

Tensor clutter_of(const Draws& draws, const Tensor& x, const Tensor& y) {
  Tensor sum = torch::zeros_like(x * draws.at(0));
  for (std::int64_t j = 0; j < 2; ++j) {
    const Tensor angle = kPi * draws.at(8 + j);
    const Tensor f = 0.5 + 3 * draws.at(10 + j);
    sum = sum + (2 * kPi * (f * (angle.cos() * x + angle.sin() * y) + draws.at(12 + j))).sin();
  }
  return sum.tanh();
}

Tensor occlude(Tensor image, const Draws& draws, std::int64_t count, const Tensor& x, const Tensor& y) {
  for (std::int64_t o = 0; o < count; ++o) {
    const std::int64_t i = 32 + 6 * o;
    const Tensor cx = 1.6 * draws.at(i) - 0.8, cy = 1.6 * draws.at(i + 1) - 0.8;
    const Tensor radius = 0.08 + 0.16 * draws.at(i + 2);
    const Tensor inside = ((radius - ((x - cx).square() + (y - cy).square()).sqrt()) / 0.03).sigmoid();
    image = mix(image, draws.colour(i + 3), scalar_image(inside));
  }
  return image;
}

// Where a sample stands; [B, 1, 1] each.
struct Pose {
  Tensor angle, scale, x, y;
};

Pose pose_of(const WorldOptions& options, const Draws& draws) {
  return {(2 * draws.at(0) - 1) * options.rotation, 0.75 + 0.40 * draws.at(1), (2 * draws.at(2) - 1) * 0.18,
          (2 * draws.at(3) - 1) * 0.18};
}

// The two colours of the figure and the first of the ground; [B, 3, 1, 1] each.
struct Colours {
  Tensor first, second, ground;
};

Colours colours_of(const Traits& traits, const Draws& draws) {
  const Tensor sign = torch::where(draws.u.select(1, 22) < 0.5, 1.0, -1.0).to(draws.u.options()).view({-1, 1, 1, 1});
  return {(0.35 * traits.first + 0.65 * draws.colour(16) + 0.22 * sign).clamp(0, 1),
          (0.35 * traits.second + 0.65 * draws.colour(19) - 0.22 * sign).clamp(0, 1), draws.colour(24)};
}

Scene make_scene(const WorldOptions& options, const Traits& traits, const Draws& draws) {
  const Tensor axis =
      (torch::arange(options.size, draws.u.options()) + 0.5) * (2.0 / static_cast<double>(options.size)) - 1;
  const Tensor px = axis.view({1, 1, -1}), py = axis.view({1, -1, 1});
  const Pose pose = pose_of(options, draws);
  const Tensor dx = px - pose.x, dy = py - pose.y;
  const Tensor x = (pose.angle.cos() * dx + pose.angle.sin() * dy) / pose.scale;
  const Tensor y = (pose.angle.cos() * dy - pose.angle.sin() * dx) / pose.scale;
  const Tensor rho = (x.square() + y.square()).sqrt().clamp_min(1e-6);

  Scene scene;
  scene.distance = (contour_radius(contour_of(traits, draws, options.deform), x / rho, y / rho) - rho) * pose.scale;
  scene.mask = (scene.distance / 0.03).sigmoid();
  scene.texture = texture_of(traits, draws, x, y);
  const Colours colours = colours_of(traits, draws);
  scene.colour1 = colours.first;
  scene.colour2 = colours.second;
  scene.ground1 = colours.ground;

  const Tensor figure = mix(scene.colour2, scene.colour1, scalar_image((1 + scene.texture) / 2));
  const Tensor ground = mix(draws.colour(27), scene.ground1, scalar_image((1 + 0.8 * clutter_of(draws, px, py)) / 2));
  const Tensor seen = occlude(mix(ground, figure, scalar_image(scene.mask)), draws, options.occluders, px, py);
  const Tensor light = 2 * kPi * draws.at(50);
  scene.lit = seen * scalar_image(1 + 0.4 * draws.at(51) * (light.cos() * px + light.sin() * py));
  return scene;
}

// Outlines and dark texture bands on paper; no occluders.
Tensor draw_sketch(const Scene& scene, const Draws& draws) {
  const Tensor edge = (-(scene.distance / 0.06).square()).exp();
  const Tensor bands = ((scene.texture - 0.55) / 0.12).sigmoid() * scene.mask;
  return scalar_image((1 - 0.9 * edge) * (1 - 0.55 * bands)) * (0.92 + 0.08 * draws.colour(56)) + 0.03 * draws.pixel;
}

// Rotated colour channels, a wash, coarse grain, four levels.
Tensor draw_painting(const Scene& scene, const Draws& draws, double noise) {
  const Tensor shifted = scene.lit.roll({-1}, {1}) * 0.85 + 0.15 * draws.colour(56);
  return ((blur3(shifted) + noise * draws.pixel).clamp(0, 0.999) * 4).floor().add(0.5).div(4);
}

// Flat two-tone figure with a black outline on a pale ground.
Tensor draw_clipart(const Scene& scene) {
  const Tensor figure = mix(scene.colour2, scene.colour1, scalar_image((10 * scene.texture).sigmoid()));
  const Tensor outline = 1 - 0.85 * (-(scene.distance / 0.05).square()).exp();
  return mix(0.6 + 0.4 * scene.ground1, figure, scalar_image(scene.mask)) * scalar_image(outline);
}

Tensor draw(const Scene& scene, const Draws& draws, Domain domain, double noise) {
  switch (domain) {
    case Domain::photo:
      return scene.lit + noise * draws.pixel;
    case Domain::sketch:
      return draw_sketch(scene, draws);
    case Domain::painting:
      return draw_painting(scene, draws, noise);
    case Domain::clipart:
      return draw_clipart(scene);
    case Domain::negative:
      return 1 - scene.lit + noise * draws.pixel;
    case Domain::corrupted:
      return (blur3(scene.lit) - 0.5) * 0.7 + 0.5 + 1.5 * noise * draws.pixel;
    case Domain::silhouette:
      return mix(scene.ground1, scene.colour1, scalar_image(scene.mask)) + 0.5 * noise * draws.pixel;
  }
  return scene.lit;
}

// A colour [B, 3, 1, 1] of the photo as the domain shows it, without light and noise.
Tensor shown_colour(const Tensor& colour, const Draws& draws, Domain domain) {
  if (domain == Domain::negative) return 1 - colour;
  if (domain == Domain::painting) return colour.roll({-1}, {1}) * 0.85 + 0.15 * draws.colour(56);
  if (domain == Domain::corrupted) return (colour - 0.5) * 0.7 + 0.5;
  return colour;
}

}  // namespace

Looks World::looks(const std::vector<ClassId>& classes, const std::vector<std::int64_t>& which,
                   const std::vector<std::int64_t>& index, std::string_view purpose, Domain domain) const {
  const torch::NoGradGuard no_grad;
  const Draws draws = scene_draws(sample_streams(options_, classes, which, index, purpose, domain));
  const Traits traits = make_traits(options_, classes, which, torch::kCPU);
  const Pose pose = pose_of(options_, draws);
  const Colours colours = colours_of(traits, draws);
  const auto vector = [](const Tensor& x) { return x.reshape({-1}); };
  const auto shown = [&](const Tensor& colour) { return shown_colour(colour, draws, domain).flatten(1).contiguous(); };

  Looks looks;
  const Contour contour = contour_of(traits, draws, options_.deform);
  const auto [relief, wave] = (contour.cosine.square() + contour.sine.square()).max(1);
  looks.lobes = wave + 2;
  looks.relief = relief.sqrt();
  const Tensor strongest = traits.weight.argsort(/*stable=*/true, 1, /*descending=*/true).slice(1, 0, 2);
  const Waves waves = waves_of(traits, draws);
  looks.stripes = waves.frequency.gather(1, strongest) / vector(pose.scale).unsqueeze(1);
  looks.direction = (waves.angle.gather(1, strongest) + vector(pose.angle).unsqueeze(1)).remainder(kPi);
  looks.figure = shown(colours.first);
  looks.stripe = shown(colours.second);
  looks.ground = shown(colours.ground);
  looks.size = vector(pose.scale);
  looks.x = vector(pose.x);
  looks.y = vector(pose.y);
  return looks;
}

torch::Tensor World::render(const std::vector<ClassId>& classes, const std::vector<std::int64_t>& which,
                            const std::vector<std::int64_t>& index, std::string_view purpose, Domain domain,
                            torch::Device device) const {
  const torch::NoGradGuard no_grad;
  const std::vector<Stream> streams = sample_streams(options_, classes, which, index, purpose, domain);
  Draws draws = scene_draws(streams);
  draws = {draws.u.to(device), draws.n.to(device), pixel_draws(streams, options_.size).to(device)};
  const Scene scene = make_scene(options_, make_traits(options_, classes, which, device), draws);
  return draw(scene, draws, domain, options_.pixel_noise).clamp(0, 1).mul(255).round().to(torch::kUInt8);
}

}  // namespace nmlbench::plugins
