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

// --- Paths

const Fabric::Link* Fabric::link(const Host& from, const Host& to) const {
  if (links_.empty() || &from == &to) return nullptr;
  const auto found = links_.find({from.id().value, to.id().value});
  return found == links_.end() ? nullptr : &found->second;
}

Fabric::Link* Fabric::link(const Host& from, const Host& to) {
  return const_cast<Link*>(std::as_const(*this).link(from, to));
}

bool Fabric::is_split(const Host& from, const Host& to) const {
  if (&from == &to) return false;
  if (isolated_.contains(from.id().value) || isolated_.contains(to.id().value)) return true;
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
  const Duration usual = config.latency.draw(random);
  if (!found) return usual;
  if (found->slowness > 1) ++effects_.slowed;
  Duration more{};
  if (found->jitter > Duration(0)) {
    ++effects_.jittered;
    more = Duration(random.between(0, found->jitter.count()));
  }
  return usual * found->slowness + more;
}

std::uint64_t Fabric::bytes_per_second(const Host& from, const Host& to) const {
  const Link* found = link(from, to);
  const std::uint64_t rate = world_.config().network.bytes_per_second / (found ? found->slowness : 1);
  return std::max<std::uint64_t>(rate, 1);
}

std::size_t Fabric::window_bytes(const Host& from, const Host& to) const {
  const Link* found = link(from, to);
  return std::min(world_.config().network.window_bytes, found ? found->window : SIZE_MAX);
}

bool Fabric::tiny_window(const Host& from, const Host& to) const {
  const Link* found = link(from, to);
  return found && found->window < SIZE_MAX;
}

Duration Fabric::closing_takes(const Host& from, const Host& to) {
  const Link* found = link(from, to);
  if (!found || found->close_delay == Duration(0)) return {};
  ++effects_.closed_late;
  return Duration(world_.random(Concern::kNetwork).between(0, found->close_delay.count()));
}

Duration Fabric::connecting_takes(const Host& to) {
  const auto found = slow_to_connect_.find(to.id().value);
  if (found == slow_to_connect_.end()) return {};
  ++effects_.slow_connects;
  return Duration(world_.random(Concern::kNetwork).between(0, found->second.count()));
}

Bytes Fabric::carried(const Host& from, const Host& to, Bytes bytes) {
  Link* found = link(from, to);
  if (!found || found->corrupt == 0 || bytes.empty()) return bytes;
  --found->corrupt;
  ++effects_.corrupted;
  std::string changed(bytes.view());
  const std::uint64_t bit = world_.random(Concern::kNetwork).below(changed.size() * 8);
  changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
  return Bytes::copy(changed);
}

void Fabric::count_held(const Host& from, const Host& to) {
  const bool isolated = isolated_.contains(from.id().value) || isolated_.contains(to.id().value);
  ++(isolated ? effects_.isolated : effects_.held);
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
