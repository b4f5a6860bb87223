// Makes tar files in tests.
#pragma once

#include <string>
#include <vector>

#include <archive.h>
#include <archive_entry.h>

namespace nmlbench::testing {

struct TarMember {
  std::string name, content;
  std::string link = {};
};

inline std::string tar_of(const std::vector<TarMember>& members, bool pax = false) {
  std::string bytes(1 << 20, '\0');
  std::size_t used = 0;
  archive* tar = archive_write_new();
  pax ? archive_write_set_format_pax(tar) : archive_write_set_format_ustar(tar);
  archive_write_open_memory(tar, bytes.data(), bytes.size(), &used);
  for (const TarMember& member : members) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, member.name.c_str());
    archive_entry_set_filetype(entry, member.link.empty() ? AE_IFREG : AE_IFLNK);
    if (!member.link.empty()) archive_entry_set_symlink(entry, member.link.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(member.content.size()));
    archive_entry_set_perm(entry, 0644);
    archive_write_header(tar, entry);
    archive_write_data(tar, member.content.data(), member.content.size());
    archive_entry_free(entry);
  }
  archive_write_close(tar);
  archive_write_free(tar);
  return bytes.substr(0, used);
}

}  // namespace nmlbench::testing
