#include "sim/trace.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <utility>

namespace stele::sim {

std::string_view to_string(EventKind kind) {
  switch (kind) {
    case EventKind::kTurn:
      return "turn";
    case EventKind::kOffload:
      return "offload";
    case EventKind::kDisk:
      return "disk";
    case EventKind::kSegment:
      return "segment";
    case EventKind::kWindow:
      return "window";
    case EventKind::kConnect:
      return "connect";
    case EventKind::kTimeout:
      return "timeout";
    case EventKind::kClose:
      return "close";
    case EventKind::kFault:
      return "fault";
    case EventKind::kAction:
      return "action";
    case EventKind::kBoot:
      return "boot";
    case EventKind::kCrash:
      return "crash";
    case EventKind::kLog:
      return "log";
    case EventKind::kNote:
      return "note";
    case EventKind::kBusy:
      return "busy";
  }
  return "?";
}

std::string format_time(Time at) {
  const std::int64_t ns = at.time_since_epoch().count();
  char text[40];
  std::snprintf(text, sizeof text, "%lld.%09lld", static_cast<long long>(ns / 1'000'000'000),
                static_cast<long long>(ns % 1'000'000'000));
  return text;
}

std::optional<Duration> parse_duration(std::string_view text) {
  const std::size_t point = std::min(text.find('.'), text.size());
  std::string digits(text.substr(0, point));
  std::string fraction(text.substr(std::min(point + 1, text.size())));
  if (digits.empty() || digits.size() > 9 || fraction.size() > 9) return std::nullopt;
  fraction.resize(9, '0');
  digits += fraction;
  std::int64_t ns = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), ns);
  if (failure != std::errc() || end != digits.data() + digits.size() || ns < 0) return std::nullopt;
  return Duration(ns);
}

Trace::Trace(std::size_t events, std::size_t lines)
    : events_(events), lines_(std::max<std::size_t>(lines, 1)), names_{"world"} {}

void Trace::name_host(std::uint32_t host, std::string name) {
  if (names_.size() <= host) names_.resize(host + 1);
  names_[host] = std::move(name);
}

void Trace::line(Time at, EventKind kind, Subject subject, std::string_view text) {
  TraceEntry& entry = next(lines_, line_count_);
  entry.event = number_;
  entry.at = at;
  entry.kind = kind;
  entry.subject = subject;
  entry.text.assign(text);
  if (sink_) sink_(entry);
}

std::string Trace::format(const TraceEntry& entry) const {
  std::string out = format_time(entry.at) + " ";
  out += entry.subject.host < names_.size() ? names_[entry.subject.host] : std::string("?");
  if (entry.subject.host) out += "/" + std::to_string(entry.subject.part);
  out += " ";
  out += to_string(entry.kind);
  if (!entry.text.empty()) out += ": " + entry.text;
  return out;
}

std::string Trace::print(std::vector<const TraceEntry*> entries, std::uint32_t only) const {
  std::sort(entries.begin(), entries.end(), [](auto* a, auto* b) { return a->sequence < b->sequence; });
  std::string out;
  for (const TraceEntry* entry : entries) {
    if (only == 0 || entry->subject.host == only) out += format(*entry) + "\n";
  }
  return out;
}

std::string Trace::text(std::uint32_t only) const {
  std::vector<const TraceEntry*> all;
  for (std::size_t i = 0; i < std::min<std::uint64_t>(event_count_, events_.size()); ++i) {
    all.push_back(&events_[i]);
  }
  for (std::size_t i = 0; i < std::min<std::uint64_t>(line_count_, lines_.size()); ++i) {
    all.push_back(&lines_[i]);
  }
  return print(std::move(all), only);
}

std::string Trace::lines() const {
  std::vector<const TraceEntry*> all;
  for (std::size_t i = 0; i < std::min<std::uint64_t>(line_count_, lines_.size()); ++i) {
    all.push_back(&lines_[i]);
  }
  return print(std::move(all), 0);
}

}  // namespace stele::sim
