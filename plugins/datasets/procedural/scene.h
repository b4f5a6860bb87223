// One sample of the world as numbers, before it is pixels.
#pragma once

#include <array>
#include <cstdint>

namespace nmlbench::plugins {

enum class Domain { photo, sketch, painting, clipart, negative, corrupted, silhouette };

constexpr std::size_t kHarmonics = 6;  // k = 2 .. 7
constexpr std::size_t kWaves = 3;
constexpr std::size_t kUniforms = 64;

using Colour = std::array<float, 3>;

struct Scene {
  // r(phi) = 0.55 (1 + sum_k a_k cos k phi + b_k sin k phi), k from 2: a shift and a size are pose, not shape.
  std::array<float, kHarmonics> cosine, sine;
  std::array<float, kWaves> frequency, angle, weight;  // of the texture, before the pose; angles in radians
  float turn, scale, x, y;                             // pose; radians
  Colour first, second, ground;                        // the two colours of the figure and the first of the ground
  std::array<float, kUniforms> u;                      // uniform draws: what else varies takes its own of them

  // Draws i, i+1, i+2 as a colour.
  Colour colour(std::size_t i) const { return {u[i], u[i + 1], u[i + 2]}; }
};

// How a scene is drawn.
struct Canvas {
  std::int64_t size;       // px
  std::int64_t occluders;  // discs in front
  float pixel_noise;       // deviation
  const float* noise;      // [3, size, size], of mean 0 and deviation 1
};

// Writes [3, size, size].
void draw_scene(const Scene& scene, Domain domain, const Canvas& canvas, std::uint8_t* pixels);

// A colour of the photo as the domain shows it, without light and noise.
Colour shown_colour(const Scene& scene, const Colour& colour, Domain domain);

}  // namespace nmlbench::plugins
