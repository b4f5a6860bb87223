// How people read the settings of one tuner or encoder: boards print them so, and claims name them so.
#pragma once

#include <map>
#include <set>
#include <string>

namespace nmlbench {

// The part of JSON objects of parameters that tells them apart, without what is told elsewhere: "lr=0.1, depth=2"; or
// just the preset, when presets alone do. By the object's text.
std::map<std::string, std::string> setting_labels(const std::set<std::string>& objects,
                                                  const std::set<std::string>& elsewhere = {});

// "nmtune (lr=0.1)", and the name alone where the setting's label is empty.
std::string with_setting(const std::string& name, const std::string& label);

}  // namespace nmlbench
