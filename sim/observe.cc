#include "sim/observe.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "sim/trace.h"

namespace stele::sim {
namespace {

// Lanes of a host: its cores have theirs, by number; what is of no core shares one for each kind.
std::uint32_t lane_of(const TraceEntry& entry) {
  constexpr std::uint32_t kOthers = 1000;
  switch (entry.kind) {
    case EventKind::kBusy:
    case EventKind::kOffload:
    case EventKind::kLog:
      return entry.subject.part;
    case EventKind::kBoot:
    case EventKind::kCrash:
    case EventKind::kFault:
    case EventKind::kNote:
    case EventKind::kAction:
      return kOthers;
    case EventKind::kDisk:
      return kOthers + 1;
    default:
      return kOthers + 2;
  }
}

std::string name_of(std::uint32_t lane) {
  if (lane == 1000) return "process";
  if (lane == 1001) return "disk";
  if (lane == 1002) return "network";
  return "core " + std::to_string(lane);
}

std::FILE* open_file(const std::string& path) {
  if (path.empty()) return nullptr;
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file != nullptr) return file;
  std::perror(("sim: " + path).c_str());
  std::exit(2);
}

void close_file(std::FILE* file, const std::string& path) {
  if (file != nullptr && std::fclose(file) != 0) std::perror(("sim: " + path).c_str());
}

double us(Duration duration) {
  return static_cast<double>(duration.count()) / 1000;
}

}  // namespace

Observer::Observer(World& world, Observation what)
    : world_(world),
      what_(std::move(what)),
      file_(open_file(what_.trace_file)),
      fingerprints_(open_file(what_.fingerprint_file)) {
  if (file_ != nullptr) std::fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", file_);
  world_.break_at(what_.break_at);
  world_.write_fingerprints(fingerprints_);
  world_.trace().set_sink([this](const TraceEntry& entry) { see(entry); });
}

Observer::~Observer() {
  world_.trace().set_sink(nullptr);
  world_.write_fingerprints(nullptr);
  finish();
}

void Observer::finish() {
  if (file_ != nullptr) std::fputs("\n]}\n", file_);
  close_file(std::exchange(file_, nullptr), what_.trace_file);
  close_file(std::exchange(fingerprints_, nullptr), what_.fingerprint_file);
  std::fflush(stdout);
}

bool Observer::is_wanted(const TraceEntry& entry) const {
  return what_.node.empty() || world_.trace().hosts()[entry.subject.host] == what_.node;
}

void Observer::see(const TraceEntry& entry) {
  if (what_.until && entry.at > Time(*what_.until)) {
    finish();
    std::_Exit(0);
  }
  if (!is_wanted(entry)) return;
  if (file_ != nullptr) write(entry);
  if (entry.kind == EventKind::kBusy || !(entry.text.empty() ? what_.events : what_.lines)) return;
  const std::string text = world_.trace().format(entry);
  if (what_.events) std::printf("#%llu ", static_cast<unsigned long long>(entry.event));
  std::printf("%s\n", text.c_str());
}

void Observer::name_lane(Subject subject, std::uint32_t lane, const std::string& name) {
  const std::uint64_t key = std::uint64_t{subject.host} << 32 | lane;
  const auto at = std::ranges::lower_bound(named_, key);
  if (at != named_.end() && *at == key) return;
  named_.insert(at, key);
  const auto say = [&](const char* what, const std::string& text) {
    const nlohmann::json line = {
        {"ph", "M"}, {"name", what}, {"pid", subject.host}, {"tid", lane}, {"args", {{"name", text}}}};
    std::fprintf(file_, "%s\n%s", written_++ > 0 ? "," : "", line.dump().c_str());
  };
  say("process_name", world_.trace().hosts()[subject.host]);
  say("thread_name", name);
}

void Observer::write(const TraceEntry& entry) {
  if (entry.kind == EventKind::kTurn) return;  // kBusy tells of it
  const std::uint32_t lane = lane_of(entry);
  name_lane(entry.subject, lane, name_of(lane));
  nlohmann::json line = {{"name", entry.text.empty() ? std::string(to_string(entry.kind)) : entry.text},
                         {"cat", std::string(to_string(entry.kind))},
                         {"ts", us(entry.at.time_since_epoch())},
                         {"pid", entry.subject.host},
                         {"tid", lane},
                         {"args", {{"event", entry.event}, {"part", entry.subject.part}}}};
  if (entry.kind == EventKind::kBusy) {
    line["ph"] = "X";
    line["dur"] = us(entry.lasts);
    line["name"] = "turn";
  } else {
    line["ph"] = "i";
    line["s"] = "t";
  }
  std::fprintf(file_, "%s\n%s", written_++ > 0 ? "," : "",
               line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

}  // namespace stele::sim
