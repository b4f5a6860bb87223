// The procedural image world: what its classes look like and how one sample of a class is drawn.
//
// A class is a closed contour r(phi) of a few Fourier coefficients, a texture of three oriented sinusoids, and a weak
// palette. A sample varies pose, contour, texture phase, colours, background clutter, occluders and light. Domains in
// the manner of DomainNet redraw the same scene. Everything random comes from streams named by seed, class and index;
// everything drawn is float32 arithmetic in a fixed order, with sines and exponentials of our own (elementary.h), so
// that a sample has the same pixels whatever LibTorch, mathematical library and processor.
#pragma once

#include "scene.h"

#include <nmlbench/random.h>

#include <array>
#include <cstdint>
#include <string_view>

namespace nmlbench::plugins {

struct WorldOptions {
  std::uint64_t seed = 0;
  std::int64_t size = 32;  // px
  double deform = 0.045;   // how much a sample's contour differs from its class'
  double rotation = 0.5;   // largest rotation, radians
  std::int64_t occluders = 2;
  double pixel_noise = 0.04;
};

// What a class is made of. Fine-grained tasks share the texture or the shape among all their classes.
struct ClassId {
  std::int64_t shape = 0;
  std::int64_t texture = 0;
  std::int64_t palette = 0;
};

struct SampleId {
  ClassId of;
  std::int64_t number = 0;  // among the samples of its class
  Domain domain = Domain::photo;
};

// What can be seen of a sample, in numbers.
struct Look {
  std::int64_t lobes = 0;  // the strongest wave of the contour: 2 is long, 3 has three corners, ... 7
  float relief = 0;        // how strong that wave is
  // the two strongest waves of the texture as the sample's pose shows them, the stronger first
  std::array<float, 2> stripes{};       // in cycles across half the image
  std::array<float, 2> direction{};     // across the stripes, in [0, pi); 0: along x, so the stripes are upright
  Colour figure{}, stripe{}, ground{};  // in [0, 1], as the domain shows them
  float size = 0;                       // in [0.75, 1.15]
  float x = 0, y = 0;                   // place in [-0.18, 0.18]; y grows downwards
};

// [any-thread]
class World {
 public:
  // `purpose` names the split, so that training and test samples never coincide.
  World(const WorldOptions& options, std::string_view purpose)
      : options_(options), samples_(Stream(options.seed).at("sample").at(purpose)) {}

  // What draw() shows of the same sample.
  Look look(const SampleId& id) const;
  // Writes the sample's pixels, [3, size, size].
  void draw(const SampleId& id, std::uint8_t* pixels) const;

 private:
  Stream stream_of(const SampleId& id) const;
  Scene scene_of(const SampleId& id) const;

  WorldOptions options_;
  Stream samples_;
};

}  // namespace nmlbench::plugins
