#include "sim/network.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "sim/process.h"
#include "sim/stream.h"

namespace stele::sim {
namespace {

constexpr std::uint16_t kFirstPort = 32768, kFirstEphemeralPort = 49152;

bool is_wildcard(std::string_view address) {
  return address == "0.0.0.0" || address == "::";
}
bool is_loopback(std::string_view address) {
  return address == "127.0.0.1" || address == "::1";
}

}  // namespace

Fabric::~Fabric() = default;

bool Fabric::is_address(std::string_view name) {
  return name.find(':') != std::string_view::npos ||
         name.find_first_not_of("0123456789.") == std::string_view::npos;
}

// --- Faults

void Fabric::split_one_way(const Host& from, const Host& to) {
  links_[{from.id().value, to.id().value}].split = true;
}

void Fabric::heal_one_way(const Host& from, const Host& to) {
  links_[{from.id().value, to.id().value}].split = false;
  paths_changed();
}

void Fabric::slow(const Host& a, const Host& b, std::uint32_t factor) {
  STELE_ASSERT(factor > 0);
  links_[{a.id().value, b.id().value}].slowness = factor;
  links_[{b.id().value, a.id().value}].slowness = factor;
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

void Fabric::refuse(const Host& host, bool refuses) {
  if (refuses) {
    refusing_.insert(host.id().value);
  } else {
    refusing_.erase(host.id().value);
  }
}

void Fabric::unresolvable(const std::string& name, bool is) {
  if (is) {
    unresolvable_.insert(name);
  } else {
    unresolvable_.erase(name);
  }
}

void Fabric::heal_all() {
  links_.clear();
  refusing_.clear();
  unresolvable_.clear();
  paths_changed();
}

// --- Paths

const Fabric::Link* Fabric::link(const Host& from, const Host& to) const {
  if (links_.empty() || &from == &to) return nullptr;
  const auto found = links_.find({from.id().value, to.id().value});
  return found == links_.end() ? nullptr : &found->second;
}

bool Fabric::is_split(const Host& from, const Host& to) const {
  const Link* found = link(from, to);
  return found && found->split;
}

bool Fabric::path_open(const Host& from, const Host& to) const {
  return to.powered() && !is_split(from, to);
}

Duration Fabric::latency(const Host& from, const Host& to) {
  const NetworkConfig& config = world_.config().network;
  runtime::Random& random = world_.random(Concern::kNetwork);
  if (&from == &to) return config.loopback.draw(random);
  const Link* found = link(from, to);
  if (found && found->slowness > 1) ++effects_.slowed;
  return config.latency.draw(random) * (found ? found->slowness : 1);
}

std::uint64_t Fabric::bytes_per_second(const Host& from, const Host& to) const {
  const Link* found = link(from, to);
  const std::uint64_t rate = world_.config().network.bytes_per_second / (found ? found->slowness : 1);
  return std::max<std::uint64_t>(rate, 1);
}

void Fabric::paths_changed() {
  for (const auto& [number, stream] : streams_) {
    stream->client().path_changed();
    stream->server().path_changed();
  }
}

void Fabric::process_gone(Process& process, CrashMode mode) {
  const bool silently = mode == CrashMode::kPowerLoss;
  for (auto it = listeners_.begin(); it != listeners_.end();) {
    std::erase_if(it->second, [&](ListenerOfCore* listener) {
      if (&listener->core().process() != &process) return false;
      listener->stop(true);
      return true;
    });
    it = it->second.empty() ? listeners_.erase(it) : std::next(it);
  }
  std::vector<std::shared_ptr<Stream>> streams;
  for (const auto& [number, stream] : streams_) streams.push_back(stream);
  runtime::Random& random = world_.random(Concern::kNetwork);
  for (const auto& stream : streams) {
    for (Socket* socket : {&stream->client(), &stream->server()}) {
      if (!socket->core() || &socket->core()->process() != &process) continue;
      if (!silently) {
        socket->close_by_kernel();
        continue;
      }
      socket->vanish(random.chance(1, 2));
      Socket& peer = stream->other(*socket);
      if (random.chance(1, 2)) {
        peer.reset_soon(true);
      } else {
        peer.look_for_the_peer();
      }
    }
    tidy(*stream);
  }
}

// --- Streams

std::uint16_t Fabric::free_port(const Host& host) {
  std::uint32_t& next = next_port_[host.id().value];
  for (;;) {
    const auto port = static_cast<std::uint16_t>(kFirstPort + next++ % (kFirstEphemeralPort - kFirstPort));
    if (!listeners_.contains({host.id().value, port})) return port;
  }
}

std::shared_ptr<Stream> Fabric::make_stream(Core& client, const Target& server, std::uint16_t port) {
  Host& host = client.host();
  std::uint32_t& next = next_ephemeral_port_[host.id().value];
  const auto own = static_cast<std::uint16_t>(kFirstEphemeralPort + next++ % (65536 - kFirstEphemeralPort));
  const std::string address = is_loopback(server.address) ? server.address : host.ip();
  const std::uint64_t number = next_stream_++;
  auto stream = std::make_shared<Stream>(*this, number, client, *server.host, runtime::Endpoint{address, own},
                                         runtime::Endpoint{server.address, port});
  streams_.emplace(number, stream);
  ++world_.count().connections;
  return stream;
}

void Fabric::tidy(Stream& stream) {
  if (stream.finished()) streams_.erase(stream.number());
}

Result<Fabric::Target> Fabric::resolve(const Host& from, const std::string& name) {
  Host* self = world_.find_host(from.name());
  if (name == "localhost" || is_wildcard(name)) return Target{self, "127.0.0.1"};
  if (is_loopback(name)) return Target{self, name};
  if (unresolvable_.contains(name)) {
    ++effects_.unresolved;
  } else if (Host* host = world_.find_host(name)) {
    return Target{host, host->ip()};
  }
  if (is_address(name)) return error(ErrorCode::kUnavailable, "there is no route to " + name);
  return error(ErrorCode::kNotFound, "the name " + name + " does not resolve");
}

Result<std::unique_ptr<runtime::Listener>> Fabric::listen(Core& core, const runtime::Endpoint& at,
                                                          runtime::ListenOptions options,
                                                          runtime::AcceptHandler& handler) {
  const std::string doing = "listening on " + at.to_string();
  runtime::Endpoint bound = at;
  if (!is_wildcard(at.host)) {
    const auto target = resolve(core.host(), at.host);
    if (!target || target->host != &core.host()) {
      return error(ErrorCode::kInvalidArgument, doing + ": that address is not this machine's");
    }
    bound.host = target->address;
  }
  if (bound.port == 0) bound.port = free_port(core.host());
  auto& there = listeners_[{core.host().id().value, bound.port}];
  for (ListenerOfCore* other : there) {
    const std::string& address = other->local().host;
    const bool overlap = address == bound.host || is_wildcard(address) || is_wildcard(bound.host);
    if (overlap && !(options.share_port && other->shares_port())) {
      return error(ErrorCode::kAddressInUse, doing + ": the address is in use");
    }
  }
  auto listener = std::make_unique<ListenerOfCore>(core, bound, options, handler);
  there.push_back(listener.get());
  return listener;
}

ListenerOfCore* Fabric::listener_at(const Target& target, std::uint16_t port) {
  if (refusing_.contains(target.host->id().value)) {
    ++effects_.refused;
    return nullptr;
  }
  const auto found = listeners_.find({target.host->id().value, port});
  if (found == listeners_.end()) return nullptr;
  std::vector<ListenerOfCore*> matching;
  for (ListenerOfCore* listener : found->second) {
    const std::string& address = listener->local().host;
    if (address == target.address || is_wildcard(address)) matching.push_back(listener);
  }
  if (matching.empty()) return nullptr;
  return matching[world_.random(Concern::kNetwork).below(matching.size())];
}

void Fabric::remove(ListenerOfCore& listener) {
  const auto found = listeners_.find({listener.core().host().id().value, listener.local().port});
  STELE_ASSERT(found != listeners_.end());
  std::erase(found->second, &listener);
  if (found->second.empty()) listeners_.erase(found);
}

}  // namespace stele::sim
