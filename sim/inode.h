// A file or directory of a simulated disk, without its name.
#pragma once

#include <map>
#include <string>

#include "sim/disk.h"
#include "sim/file_content.h"

namespace stele::sim {

class Inode {
 public:
  Inode(Disk& disk, std::uint64_t number, bool directory)
      : disk_(disk), number(number), directory(directory), content(disk.config_.sector_bytes) {}
  ~Inode() { disk_.release(content.size()); }

 private:
  Disk& disk_;

 public:
  const std::uint64_t number;
  const bool directory;
  FileContent content;
  // Of a directory: as a process sees it, and as it is on the platter.
  std::map<std::string, Disk::File> entries;
  std::map<std::string, Disk::File> durable;
};

}  // namespace stele::sim
