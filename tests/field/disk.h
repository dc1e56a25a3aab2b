// The faults of the node's disk, as a field run asks for them: the other end of disk_faults.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "sim/faults.h"
#include "tests/field/disk_control.h"

namespace stele::field {

class Disk {
 public:
  // `library`: what is preloaded. The file that both map is made in `directory`.
  static Result<std::unique_ptr<Disk>> make(const std::string& library, const std::string& directory);
  ~Disk();
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  const std::string& library() const { return library_; }
  // What the node's environment needs besides, NAME=VALUE.
  std::vector<std::string> environment() const;

  // False: the kind is not one of a disk.
  bool begin(const sim::Fault& fault);
  void end(const sim::Fault& fault);
  void heal();

  // How many operations have failed so far.
  std::int64_t failed() const { return control_->failed.load(); }
  std::int64_t stalled() const { return control_->stalled.load(); }
  // Of those, writes for which the file system had no room; and writes that it took the beginning of.
  std::int64_t full() const { return control_->full.load(); }
  std::int64_t stopped() const { return control_->stopped.load(); }
  // The process is to die in an operation: it did, or still may.
  bool kills() const { return kills_; }
  void forget_kill();

 private:
  Disk(DiskControl* control, std::string library, std::string file)
      : control_(control), library_(std::move(library)), file_(std::move(file)) {}

  DiskControl* const control_;
  const std::string library_, file_;
  bool kills_ = false;
};

}  // namespace stele::field
