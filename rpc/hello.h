// How two nodes get to know each other: what they tell, and who is let in. Pure.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/ids.h"
#include "model/uuid.h"
#include "rpc/frame.h"

namespace stele::rpc {

// Versions of the protocol. A node of version n speaks n-1 and n, so that a cluster is upgraded node by node;
// two nodes speak the lower of their highest.
struct VersionRange {
  std::uint32_t min = 0;
  std::uint32_t max = 0;
  friend bool operator==(const VersionRange&, const VersionRange&) = default;
};
constexpr std::uint32_t kProtocolVersion = 1;
constexpr VersionRange kOurVersions{std::max(kProtocolVersion - 1, 1u), kProtocolVersion};
// What both speak; none: they are too far apart.
std::optional<std::uint32_t> common_version(VersionRange a, VersionRange b);

// What the certificate of a node must be called: "node-7".
std::string certificate_name_of(NodeId node);

// Who one is.
struct Identity {
  Uuid cluster;
  NodeId node;
  // Tells the processes of a node apart; nothing more is to be read out of it.
  std::uint64_t incarnation = 0;
  std::string product = {};  // name and version, for people
  VersionRange versions = kOurVersions;
};

// Who is at the other end, after the hello.
struct Peer {
  NodeId node;
  std::uint64_t incarnation = 0;
  std::uint32_t version = 0;  // that is spoken with it
  std::string product;
  std::string certificate;       // the name in it; empty: it has shown none
  bool joins = false;            // it is not of the cluster, and asks to be: of a server's peers
  std::uint64_t connection = 0;  // counts those of this server or channel; what comes over one is in order
};

// What a connection asks of its other end.
struct Terms {
  std::uint32_t max_payload_bytes = 0;
  std::uint32_t ping_interval_ms = 0;
};

Terms terms_of(std::uint32_t max_payload_bytes, std::chrono::nanoseconds ping_interval);
// How long the other end may be silent before it is given up: some pings may be late.
std::chrono::nanoseconds silence_allowed(std::chrono::nanoseconds usual, const Terms& theirs);
// A server does as its peer wants that pings more often than usual, to know sooner of a connection that
// carries nothing: it pings as often, though not more than ten times a second, and gives up after six pings.
std::chrono::nanoseconds ping_interval_for(std::chrono::nanoseconds usual, const Terms& theirs);
std::chrono::nanoseconds silence_for(std::chrono::nanoseconds usual, const Terms& theirs);

struct Hello {
  Identity from;
  NodeId to;
  Nonce nonce{};
  Terms terms;
  // Belongs to no cluster yet, and asks to be let into that of whoever listens there: neither the cluster of
  // `from` nor `to` says anything. Only few methods are served to it (Server::serve_joining).
  bool joins = false;
};

enum class Reason : std::uint8_t {
  kNone = 0,
  kVersion = 1,      // too far apart: upgrade one of them
  kCluster = 2,      // of another cluster
  kNode = 3,         // another node listens here, or it says that it is this one
  kCertificate = 4,  // says to be who its certificate does not say it is
  kBusy = 5,         // too many connections
  kStopping = 6,
  kMalformed = 7,  // something that was sent makes no sense
};
constexpr std::size_t kReasons = 8;
std::string_view to_string(Reason reason);

struct Refusal {
  Reason reason = Reason::kNone;
  std::string text;
};

struct Welcome {
  Identity from;
  std::uint32_t version = 0;
  Nonce nonce{};
  Terms terms;
};
struct HelloAnswer {
  Refusal refusal;  // with kNone: let in
  Welcome welcome;
};

std::string encode(const Hello& from);
std::string encode(const HelloAnswer& from);
std::string encode_goodbye(const Refusal& why);
// kMalformed. Memory taken is a small multiple of the input's.
Result<Hello> decode_hello(std::string_view from);
Result<HelloAnswer> decode_hello_answer(std::string_view from);
Result<Refusal> decode_goodbye(std::string_view from);

// Whether the one who said `hello` is let in: none, or why not. `certificate` is the name that it has proven;
// none: there are no certificates.
std::optional<Refusal> check(const Hello& hello, const Identity& self,
                             const std::optional<std::string>& certificate);
// The same of who answers, for the one who wanted to reach `to`; none: whoever it is, of whatever cluster.
std::optional<Refusal> check(const Welcome& welcome, const Identity& self, std::optional<NodeId> to,
                             const std::optional<std::string>& certificate);

}  // namespace stele::rpc
