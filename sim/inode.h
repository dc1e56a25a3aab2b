// A file or directory of a simulated disk, without its name.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "sim/disk.h"
#include "sim/file_content.h"

namespace stele::sim {

class Inode {
 public:
  Inode(Disk& disk, std::uint64_t number, bool directory, std::string made_in)
      : disk_(disk),
        number(number),
        directory(directory),
        made_in(std::move(made_in)),
        content(disk.config_.sector_bytes) {}
  ~Inode() { disk_.release(content.size()); }

 private:
  Disk& disk_;

 public:
  const std::uint64_t number;
  const bool directory;
  const std::string made_in;  // of the directories of the root, the one in which it was made
  FileContent content;
  // Of a directory: as a process sees it, and as it is on the platter.
  std::map<std::string, Disk::File> entries;
  std::map<std::string, Disk::File> durable;
};

}  // namespace stele::sim
