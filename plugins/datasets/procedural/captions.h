// Sentences on what samples of the procedural world show, for image-text pre-training.
#pragma once

#include "world.h"

#include <string>

namespace nmlbench::plugins {

// The invented noun that stands for a class in captions: two syllables, another one for every id in [0, 4900).
std::string class_noun(std::int64_t id);

// A caption of a sample that looks so, ASCII: one of several templates, drawn from `draws`; each names some of the
// class's noun, shape, stripes, colours, size, place and medium. It says nothing that the domain does not show: a
// sketch has no colours, a silhouette no stripes.
std::string caption_of(const Look& look, Domain domain, std::int64_t class_id, const Stream& draws);

}  // namespace nmlbench::plugins
