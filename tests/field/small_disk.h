// A file system of a few megabytes for the node's data, so that it can be full: not by what a library says,
// but because the system has no room, for whatever is written by whatever call.
//
// It is mounted where only this process and its children see it, and is gone with them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/result.h"

namespace stele::field {

class SmallDisk {
 public:
  // This process leaves the mounts that it shares with others. Once, before it has a second thread. Who is
  // not root becomes it, in a user namespace. Errors: kUnauthorized, where the system does not allow that.
  static Result<void> leave_shared_mounts();

  // A tmpfs of `bytes` at `directory`, which is made.
  static Result<std::unique_ptr<SmallDisk>> make(std::string directory, std::uint64_t bytes);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  const std::string& directory() const { return directory_; }
  std::uint64_t free_bytes() const;
  // Another file takes all but so many bytes of what is free now. What is removed later is free again. False:
  // no file can be made.
  bool fill(std::uint64_t leave_free);
  // That file goes away.
  void make_room();
  // What is on it, but for that file, is copied to `to`, where it outlives this process.
  Result<void> copy(const std::string& to) const;

 private:
  explicit SmallDisk(std::string directory) : directory_(std::move(directory)) {}
  std::string filler() const { return directory_ + "/filler"; }
  const std::string directory_;
};

}  // namespace stele::field
