#include "world.h"

#include <nmlbench/dense.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace nmlbench::plugins {
namespace {

constexpr float kPi = std::numbers::pi_v<float>;
constexpr std::size_t kNormals = 18;

template <std::size_t N>
std::array<float, N> numbers(const torch::Tensor& drawn) {
  std::array<float, N> out;
  std::copy_n(dense_data<float>(drawn), N, out.begin());
  return out;
}

// What a class is made of.
struct Traits {
  std::array<float, 2 * kHarmonics> contour;  // cosines, then sines
  std::array<float, kWaves> frequency, angle, weight;
  Colour first, second;  // palette
};

Traits traits_of(std::uint64_t seed, const ClassId& of) {
  const Stream root = Stream(seed).at("class");
  Traits traits;
  traits.contour = numbers<2 * kHarmonics>(root.at("shape").at(of.shape).normal({2 * kHarmonics}));
  for (std::size_t i = 0; i < 2 * kHarmonics; ++i) {
    traits.contour[i] *= 0.20F * std::sqrt(2 / static_cast<float>(2 + i % kHarmonics));
  }
  const auto waves = numbers<3 * kWaves>(root.at("texture").at(of.texture).uniform({3 * kWaves}));
  for (std::size_t j = 0; j < kWaves; ++j) {
    traits.frequency[j] = 1 + 2.6F * waves[j];
    traits.angle[j] = kPi * waves[kWaves + j];
    traits.weight[j] = 0.4F + 0.6F * waves[2 * kWaves + j];
  }
  const auto palette = numbers<6>(root.at("palette").at(of.palette).uniform({6}));
  std::copy_n(palette.begin(), 3, traits.first.begin());
  std::copy_n(palette.begin() + 3, 3, traits.second.begin());
  return traits;
}

// A colour of the figure: a third of it is the class', and one of the two is the lighter.
Colour figure_colour(const Colour& palette, const Colour& drawn, float shade) {
  Colour out;
  for (std::size_t c = 0; c < 3; ++c) {
    out[c] = std::min(std::max(0.35F * palette[c] + 0.65F * drawn[c] + shade, 0.F), 1.F);
  }
  return out;
}

// The remainder of an angle, in [0, pi).
float half_turn(float angle) {
  const float rest = std::fmod(angle, kPi);
  return rest < 0 ? rest + kPi : rest;
}

}  // namespace

Stream World::stream_of(const SampleId& id) const {
  return samples_.at(static_cast<std::int64_t>(id.domain)).at(id.of.shape).at(id.of.texture).at(id.number);
}

Scene World::scene_of(const SampleId& id) const {
  const Traits traits = traits_of(options_.seed, id.of);
  const Stream own = stream_of(id);
  const auto n = numbers<kNormals>(own.at("normal").normal({kNormals}));

  Scene scene;
  scene.u = numbers<kUniforms>(own.at("uniform").uniform({kUniforms}));
  const auto deform = static_cast<float>(options_.deform);
  for (std::size_t k = 0; k < kHarmonics; ++k) {
    scene.cosine[k] = traits.contour[k] + deform * n[k];
    scene.sine[k] = traits.contour[kHarmonics + k] + deform * n[kHarmonics + k];
  }
  for (std::size_t j = 0; j < kWaves; ++j) {
    scene.frequency[j] = traits.frequency[j] * (1 + 0.08F * n[12 + j]);
    scene.angle[j] = traits.angle[j] + 0.06F * n[15 + j];
    scene.weight[j] = traits.weight[j];
  }
  scene.turn = (2 * scene.u[0] - 1) * static_cast<float>(options_.rotation);
  scene.scale = 0.75F + 0.40F * scene.u[1];
  scene.x = (2 * scene.u[2] - 1) * 0.18F;
  scene.y = (2 * scene.u[3] - 1) * 0.18F;
  const float shade = scene.u[22] < 0.5F ? 0.22F : -0.22F;
  scene.first = figure_colour(traits.first, scene.colour(16), shade);
  scene.second = figure_colour(traits.second, scene.colour(19), -shade);
  scene.ground = scene.colour(24);
  return scene;
}

Look World::look(const SampleId& id) const {
  const Scene scene = scene_of(id);
  Look look;
  for (std::size_t k = 0; k < kHarmonics; ++k) {
    const float relief = std::sqrt(scene.cosine[k] * scene.cosine[k] + scene.sine[k] * scene.sine[k]);
    if (k > 0 && relief <= look.relief) continue;
    look.lobes = static_cast<std::int64_t>(k) + 2;
    look.relief = relief;
  }
  std::array<std::size_t, kWaves> strongest = {0, 1, 2};
  std::stable_sort(strongest.begin(), strongest.end(),
                   [&](std::size_t a, std::size_t b) { return scene.weight[a] > scene.weight[b]; });
  for (std::size_t j = 0; j < 2; ++j) {
    look.stripes[j] = scene.frequency[strongest[j]] / scene.scale;
    look.direction[j] = half_turn(scene.angle[strongest[j]] + scene.turn);
  }
  look.figure = shown_colour(scene, scene.first, id.domain);
  look.stripe = shown_colour(scene, scene.second, id.domain);
  look.ground = shown_colour(scene, scene.ground, id.domain);
  look.size = scene.scale;
  look.x = scene.x;
  look.y = scene.y;
  return look;
}

void World::draw(const SampleId& id, std::uint8_t* pixels) const {
  const std::int64_t side = options_.size;
  torch::Tensor noise = stream_of(id).at("pixel").uniform({3, side, side});
  float* values = dense_data<float>(noise);
  for (std::int64_t i = 0; i < noise.numel(); ++i) values[i] = (values[i] - 0.5F) * std::sqrt(12.F);
  const Canvas canvas{side, options_.occluders, static_cast<float>(options_.pixel_noise), values};
  draw_scene(scene_of(id), id.domain, canvas, pixels);
}

}  // namespace nmlbench::plugins
