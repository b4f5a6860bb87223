// Finds out which libraries can be loaded without harm, in a process that may be lost.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace nmlbench {

// Of libraries that a damaged file or their own code makes deadly to whoever loads them: what happens, for people
// ("crashes when it is loaded: signal 11 (Segmentation fault)"). Each is opened and checked as open_library() does, in
// a child of this process; what a child does not survive costs another child. Throws SystemError when none can be
// started. Call it before the process has threads: a child has only the one that called.
std::map<std::filesystem::path, std::string> deadly_libraries(const std::vector<std::filesystem::path>& files);

}  // namespace nmlbench
