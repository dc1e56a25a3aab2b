// What may be wrong with the network.
#include <utility>

#include "base/assert.h"
#include "sim/network.h"
#include "sim/stream.h"

namespace stele::sim {

void Fabric::split_one_way(const Host& from, const Host& to) {
  links_[{from.id().value, to.id().value}].split = true;
}

void Fabric::heal_one_way(const Host& from, const Host& to) {
  links_[{from.id().value, to.id().value}].split = false;
  paths_changed();
}

template <class T>
void Fabric::set_both_ways(const Host& a, const Host& b, T Link::* what, T value) {
  links_[{a.id().value, b.id().value}].*what = value;
  links_[{b.id().value, a.id().value}].*what = value;
}

void Fabric::slow(const Host& a, const Host& b, std::uint32_t factor) {
  STELE_ASSERT(factor > 0);
  set_both_ways(a, b, &Link::slowness, factor);
}

void Fabric::jitter(const Host& a, const Host& b, Duration up_to) {
  set_both_ways(a, b, &Link::jitter, up_to);
}

void Fabric::limit_window(const Host& a, const Host& b, std::size_t bytes) {
  STELE_ASSERT(bytes > 0);
  set_both_ways(a, b, &Link::window, bytes);
}

void Fabric::close_late(const Host& a, const Host& b, Duration up_to) {
  set_both_ways(a, b, &Link::close_delay, up_to);
}

void Fabric::corrupt(const Host& from, const Host& to, std::uint32_t pieces) {
  links_[{from.id().value, to.id().value}].corrupt = pieces;
}

std::vector<Stream*> Fabric::between(const Host& a, const Host& b) const {
  std::vector<Stream*> found;
  for (const auto& [number, stream] : streams_) {
    const Host& client = stream->client().host();
    const Host& server = stream->server().host();
    const bool these = (&client == &a && &server == &b) || (&client == &b && &server == &a);
    if (these && stream->established()) found.push_back(stream.get());
  }
  return found;
}

std::size_t Fabric::connections(const Host& a, const Host& b) const {
  return between(a, b).size();
}

std::size_t Fabric::cut(const Host& a, const Host& b, runtime::Random& random) {
  const std::vector<Stream*> candidates = between(a, b);
  if (candidates.empty()) return 0;
  Stream& stream = *candidates[random.below(candidates.size())];
  stream.client().reset_soon(true);
  stream.server().reset_soon(true);
  ++effects_.cut;
  return 1;
}

std::size_t Fabric::cut_all(const Host& a, const Host& b) {
  const std::vector<Stream*> candidates = between(a, b);
  for (Stream* stream : candidates) {
    stream->client().reset_soon(true);
    stream->server().reset_soon(true);
  }
  effects_.cut += candidates.size();
  return candidates.size();
}

// The one end is told at once; the other finds out when it says something, or keep-alive does.
std::size_t Fabric::half_open(const Host& a, const Host& b, runtime::Random& random) {
  const std::vector<Stream*> candidates = between(a, b);
  if (candidates.empty()) return 0;
  Stream& stream = *candidates[random.below(candidates.size())];
  Socket& reset = random.chance(1, 2) ? stream.client() : stream.server();
  Socket& deaf = stream.other(reset);
  ++effects_.half_open;
  deaf.look_for_the_peer();
  reset.end_with(Error{ErrorCode::kClosed, reset.remote().to_string() + " reset the connection"});
  return 1;
}

std::size_t Fabric::stall_one(const Host& a, const Host& b, runtime::Random& random) {
  const std::vector<Stream*> candidates = between(a, b);
  if (candidates.empty()) return 0;
  candidates[random.below(candidates.size())]->set_stalled(true);
  return 1;
}

void Fabric::resume_all(const Host& a, const Host& b) {
  for (Stream* stream : between(a, b)) stream->set_stalled(false);
  paths_changed();
}

namespace {

template <class Set, class Value>
void put_or_remove(Set& set, const Value& value, bool is) {
  if (is) {
    set.insert(value);
  } else {
    set.erase(value);
  }
}

}  // namespace

void Fabric::isolate(const Host& host, bool is) {
  put_or_remove(isolated_, host.id().value, is);
  if (!is) paths_changed();
}

void Fabric::refuse(const Host& host, bool refuses) {
  put_or_remove(refusing_, host.id().value, refuses);
}

void Fabric::fill_backlog(const Host& host, bool is) {
  put_or_remove(full_, host.id().value, is);
}

void Fabric::slow_connects(const Host& host, Duration up_to) {
  if (up_to == Duration(0)) {
    slow_to_connect_.erase(host.id().value);
  } else {
    slow_to_connect_[host.id().value] = up_to;
  }
}

void Fabric::unresolvable(const std::string& name, bool is) {
  put_or_remove(unresolvable_, name, is);
}

void Fabric::heal_all() {
  links_.clear();
  isolated_.clear();
  refusing_.clear();
  full_.clear();
  slow_to_connect_.clear();
  unresolvable_.clear();
  for (const auto& [number, stream] : streams_) stream->set_stalled(false);
  paths_changed();
}

}  // namespace stele::sim
