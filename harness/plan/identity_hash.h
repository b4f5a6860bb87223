// The one way in which identities are hashed.
#pragma once

#include <nmlbench/digest.h>

#include <string>
#include <string_view>
#include <vector>

namespace nmlbench {

// `kind` ("cell/1") keeps identities of different things apart.
inline std::string identity_hash(std::string_view kind, const std::vector<std::string>& parts) {
  Digest digest;
  digest.update(kind);
  for (const std::string& part : parts) digest.update(part);
  return digest.hex();
}

}  // namespace nmlbench
