// What happened, for reading. Two bounded rings, one of events and one of lines (logs of simulated processes,
// notes of workloads, faults), so that a busy network does not push the lines out; printed merged, in order.
// Reading it changes nothing: a trace is off the path of hash and draws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/time.h"

namespace stele::sim {

enum class EventKind : std::uint8_t {
  kTurn,     // a core runs
  kOffload,  // a worker thread runs a job
  kDisk,     // a file operation takes effect or ends
  kSegment,  // bytes arrive
  kWindow,   // room in a send window
  kConnect,  // a connection is made, step by step
  kTimeout,  // TCP gives up
  kClose,    // the grace of a close is over
  kFault,    // injected
  kAction,   // the scenario acts
  kBoot,     // a process starts
  kCrash,    // a process ends
  kLog,      // a line of a process
  kNote,     // a line of a workload or checker
  kBusy,     // a core was busy with a turn from `at` on; told to the sink alone
};
std::string_view to_string(EventKind kind);

// What an event is about: a host (0: the world itself) and a part of it (a core, a connection).
struct Subject {
  std::uint32_t host = 0;
  std::uint32_t part = 0;
};

struct TraceEntry {
  std::uint64_t sequence = 0;
  std::uint64_t event = 0;  // its number; of a line, that of the event during which it came
  Time at{};
  EventKind kind{};
  Subject subject;
  Duration lasts{};  // of kBusy
  std::string text;  // of lines
};

class Trace {
 public:
  using Sink = std::function<void(const TraceEntry& entry)>;

  Trace(std::size_t events, std::size_t lines);

  void name_host(std::uint32_t host, std::string name);
  const std::vector<std::string>& hosts() const { return names_; }  // by number, "world" first
  void event(Time at, EventKind kind, Subject subject) {
    ++number_;
    if (events_.empty()) return;
    TraceEntry& entry = next(events_, event_count_);
    entry.event = number_;
    entry.at = at;
    entry.kind = kind;
    entry.subject = subject;
    if (sink_) sink_(entry);
  }
  void line(Time at, EventKind kind, Subject subject, std::string_view text);
  void busy(Time from, Duration lasts, Subject core) {
    if (sink_)
      sink_({.event = number_,
             .at = from,
             .kind = EventKind::kBusy,
             .subject = core,
             .lasts = lasts,
             .text = {}});
  }

  // Every entry from now on goes there too, as it happens.
  void set_sink(Sink sink) { sink_ = std::move(sink); }

  // Everything still in the rings, oldest first, one entry a line; of one host if `only` names one.
  std::string text(std::uint32_t only = 0) const;
  // The lines alone.
  std::string lines() const;

  // "12.345678901 node/0 log: warn journal: slow disk".
  std::string format(const TraceEntry& entry) const;

 private:
  TraceEntry& next(std::vector<TraceEntry>& ring, std::uint64_t& count) {
    TraceEntry& entry = ring[count++ % ring.size()];
    entry.sequence = sequence_++;
    return entry;
  }
  std::string print(std::vector<const TraceEntry*> entries, std::uint32_t only) const;

  std::vector<TraceEntry> events_;
  std::vector<TraceEntry> lines_;
  std::uint64_t number_ = 0;  // of the event under way
  std::uint64_t event_count_ = 0;
  std::uint64_t line_count_ = 0;
  std::uint64_t sequence_ = 0;
  std::vector<std::string> names_;
  Sink sink_;
};

// "12.000345678": seconds since the world began.
std::string format_time(Time at);
// "12.5" seconds, up to nine digits behind the point.
std::optional<Duration> parse_duration(std::string_view text);

}  // namespace stele::sim
