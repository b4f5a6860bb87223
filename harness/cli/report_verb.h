// The verb `report`, which the two programs have in common: only the engine can draw samples.
#pragma once

#include "cli/cli.h"
#include "results/report/report.h"

#include <functional>

namespace nmlbench::cli {

using MakePictures = std::function<PictureSource(const Globals& globals, const Store& store)>;

// The option that needs the engine (main.cpp).
inline constexpr const char* kImagesOption = "--images";

// `pictures`: empty in the program that cannot draw.
void add_report_verb(CLI::App& app, Globals& globals, Action& action, const MakePictures& pictures);

}  // namespace nmlbench::cli
