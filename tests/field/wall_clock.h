// The wall clock of the node, as a field run sets it: libfaketime, preloaded into the node, reads a file. Its
// monotonic clock is the machine's.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "sim/faults.h"

namespace stele::field {

class WallClock {
 public:
  // `library`: libfaketime's for programs with threads. The file is made in `directory`.
  static Result<std::unique_ptr<WallClock>> make(std::string library, const std::string& directory);

  const std::string& library() const { return library_; }
  // What the node's environment needs besides, NAME=VALUE.
  std::vector<std::string> environment() const;
  // libfaketime has something in /dev/shm for each process, named after it, which one that is killed leaves
  // there: in the way of a later process with that number.
  static void clean_up_after(pid_t process);

  // False: the kind is not one of a clock.
  bool begin(const sim::Fault& fault);
  void end(const sim::Fault& fault);
  // Every few milliseconds: a clock that drifts is set in small steps.
  void tick();
  // It goes as usual, from where it is.
  void heal();

  // What it shows, less what the machine's shows.
  double ahead_s() const;

 private:
  WallClock(std::string library, std::string file) : library_(std::move(library)), file_(std::move(file)) {}
  void put_down_drift();
  void write() const;

  const std::string library_, file_;
  std::int64_t ahead_ns_ = 0;              // while it goes
  std::optional<std::int64_t> stands_at_;  // ns since 1970
  int stand_ = 0;                          // so many faults want it to
  std::vector<std::int64_t> drifts_;       // millionths; the last one counts
  std::int64_t drift_put_down_ = 0;        // when, of the machine's clock
};

}  // namespace stele::field
