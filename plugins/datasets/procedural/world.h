// The procedural image world: what its classes look like and how one sample of a class is drawn.
//
// A class is a closed contour r(phi) of a few Fourier coefficients, a texture of three oriented sinusoids, and a weak
// palette. A sample varies pose, contour, texture phase, colours, background clutter, occluders and light. Domains in
// the manner of DomainNet redraw the same scene. Everything random comes from streams named by seed, class and index;
// everything drawn is batched tensor operations, on the device.
#pragma once

#include <nmlbench/random.h>
#include <nmlbench/torch.h>

#include <cstdint>
#include <vector>

namespace nmlbench::plugins {

enum class Domain { photo, sketch, painting, clipart, negative, corrupted, silhouette };

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

// What can be seen of samples, in numbers; CPU, one row a sample.
struct Looks {
  torch::Tensor lobes;   // int64 [B], the strongest wave of the contour: 2 is long, 3 has three corners, ... 7
  torch::Tensor relief;  // float32 [B], how strong that wave is
  // float32 [B, 2], the two strongest waves of the texture as the sample's pose shows them, the stronger first
  torch::Tensor stripes;                 // in cycles across half the image
  torch::Tensor direction;               // across the stripes, in [0, pi); 0: along x, so the stripes are upright
  torch::Tensor figure, stripe, ground;  // float32 [B, 3], colours in [0, 1] as the domain shows them
  torch::Tensor size;                    // float32 [B], in [0.75, 1.15]
  torch::Tensor x, y;                    // float32 [B], place in [-0.18, 0.18]; y grows downwards
};

class World {
 public:
  explicit World(const WorldOptions& options) : options_(options) {}

  // What render() shows of the same samples.
  Looks looks(const std::vector<ClassId>& classes, const std::vector<std::int64_t>& which,
              const std::vector<std::int64_t>& index, std::string_view purpose, Domain domain) const;

  // Draws sample `index[i]` of class `classes[which[i]]`, for all i at once: uint8 [B, 3, size, size] on the device.
  // `purpose` names the split, so that training and test samples never coincide.
  torch::Tensor render(const std::vector<ClassId>& classes, const std::vector<std::int64_t>& which,
                       const std::vector<std::int64_t>& index, std::string_view purpose, Domain domain,
                       torch::Device device) const;

 private:
  WorldOptions options_;
};

}  // namespace nmlbench::plugins
