// What a person wants to see of a run: lines as they happen, and a file for a trace viewer. Observing changes
// nothing: the run's hash is the same.
#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "sim/time.h"
#include "sim/world.h"

namespace stele::sim {

struct Observation {
  bool lines = false;             // logs, notes, faults, starts and ends of processes, to standard output
  bool events = false;            // every event as well, with its number
  std::string node;               // of this host alone; empty: of all
  std::optional<Duration> until;  // there the program ends, with exit status 0
  std::string trace_file;  // in Chrome's JSON format, which Perfetto opens: a lane for each node and core
  std::string fingerprint_file;  // the world's hash after each event
  std::uint64_t break_at = 0;    // SIGTRAP before the event of that number
  bool any() const {
    return lines || events || until || !trace_file.empty() || !fingerprint_file.empty() || break_at != 0;
  }
};

// Lives with the world. One at a time.
class Observer {
 public:
  // Ends the program with exit status 2 if the file cannot be written.
  Observer(World& world, Observation what);
  ~Observer();
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

 private:
  void see(const TraceEntry& entry);
  bool is_wanted(const TraceEntry& entry) const;
  void write(const TraceEntry& entry);
  void name_lane(Subject subject, std::uint32_t lane, const std::string& name);
  void finish();

  World& world_;
  const Observation what_;
  std::FILE* file_ = nullptr;
  std::FILE* fingerprints_ = nullptr;
  std::uint64_t written_ = 0;
  std::vector<std::uint64_t> named_;  // lanes that the file has names of
};

}  // namespace stele::sim
