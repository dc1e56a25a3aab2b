#include "rpc/hello.h"

#include <flatbuffers/flatbuffers.h>

#include <cstring>

#include "base/assert.h"
#include "base/wire.h"
#include "rpc/hello_generated.h"

namespace stele::rpc {
namespace {

constexpr std::size_t kMaxText = 500;
constexpr std::chrono::minutes kMaxSilence(2);  // whatever the other end says of its pings
constexpr std::chrono::milliseconds kShortestPing(100);
constexpr int kPingsMissed = 6;

// None of these tables holds another one.
constexpr flatbuffers::uoffset_t kMaxDepth = 4;
constexpr flatbuffers::uoffset_t kMaxTables = 4;

// `from` begins where a table may.
template <class Table>
Result<const Table*> table_of(const std::string& from, std::string_view what) {
  flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(from.data()), from.size(), kMaxDepth,
                                 kMaxTables);
  if (!verifier.VerifyBuffer<Table>(nullptr)) {
    return error(ErrorCode::kMalformed, std::string(what) + " makes no sense");
  }
  return flatbuffers::GetRoot<Table>(from.data());
}

template <class Packed>
std::string pack(const Packed& from) {
  flatbuffers::FlatBufferBuilder builder(512);
  builder.Finish(Packed::TableType::Pack(builder, &from));
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

std::string text_of(const flatbuffers::String* from) {
  return from ? std::string(from->c_str(), std::min<std::size_t>(from->size(), kMaxText)) : std::string();
}
std::string short_text(const std::string& text) {
  return text.substr(0, kMaxText);
}

std::uint64_t high(const Nonce& nonce) {
  return load_le<std::uint64_t>(nonce.data());
}
std::uint64_t low(const Nonce& nonce) {
  return load_le<std::uint64_t>(nonce.data() + 8);
}
Nonce nonce_of(std::uint64_t high, std::uint64_t low) {
  Nonce nonce;
  store_le(nonce.data(), high);
  store_le(nonce.data() + 8, low);
  return nonce;
}

// A reason of a later version is one of ours that fits all.
Reason reason_of(std::uint8_t from) {
  return from < kReasons ? static_cast<Reason>(from) : Reason::kMalformed;
}

// The parts that a hello and its answer have in common.
template <class Packed>
void put(const Identity& from, const Nonce& nonce, const Terms& terms, Packed& to) {
  to.version_min = from.versions.min;
  to.version_max = from.versions.max;
  to.product = short_text(from.product);
  to.cluster_high = from.cluster.high;
  to.cluster_low = from.cluster.low;
  to.node = from.node.value;
  to.incarnation = from.incarnation;
  to.nonce_high = high(nonce);
  to.nonce_low = low(nonce);
  to.max_payload_bytes = terms.max_payload_bytes;
  to.ping_interval_ms = terms.ping_interval_ms;
}
template <class Table, class Out>
void take(const Table& from, Out& to) {
  to.from.versions = {from.version_min(), from.version_max()};
  to.from.product = text_of(from.product());
  to.from.cluster = {from.cluster_high(), from.cluster_low()};
  to.from.node = NodeId(from.node());
  to.from.incarnation = from.incarnation();
  to.nonce = nonce_of(from.nonce_high(), from.nonce_low());
  to.terms = {from.max_payload_bytes(), from.ping_interval_ms()};
}

std::string range_text(VersionRange range) {
  if (range.min == range.max) return std::to_string(range.min);
  return std::to_string(range.min) + " to " + std::to_string(range.max);
}
std::string name_of(NodeId node) {
  return "node " + std::to_string(node.value);
}

std::optional<Refusal> check_versions(const Identity& other, const Identity& self) {
  if (common_version(other.versions, self.versions)) return std::nullopt;
  const bool older = other.versions.max < self.versions.min;
  return Refusal{Reason::kVersion, name_of(other.node) + " (" + other.product + ") speaks version " +
                                       range_text(other.versions) + " of the protocol between nodes, " +
                                       name_of(self.node) + " (" + self.product + ") version " +
                                       range_text(self.versions) + ": upgrade " +
                                       name_of(older ? other.node : self.node) + ", one version at a time"};
}
std::optional<Refusal> check_cluster(const Identity& other, const Identity& self) {
  if (other.cluster == self.cluster) return std::nullopt;
  return Refusal{Reason::kCluster, name_of(other.node) + " belongs to cluster " + other.cluster.to_string() +
                                       ", " + name_of(self.node) + " to " + self.cluster.to_string()};
}
std::optional<Refusal> check_certificate(NodeId node, const std::optional<std::string>& certificate) {
  if (!certificate || *certificate == certificate_name_of(node)) return std::nullopt;
  return Refusal{Reason::kCertificate, "who says to be " + name_of(node) + " shows a certificate of '" +
                                           *certificate + "' and not of '" + certificate_name_of(node) + "'"};
}

}  // namespace

std::optional<std::uint32_t> common_version(VersionRange a, VersionRange b) {
  const std::uint32_t version = std::min(a.max, b.max);
  if (version < a.min || version < b.min || version == 0) return std::nullopt;
  return version;
}

std::string certificate_name_of(NodeId node) {
  return "node-" + std::to_string(node.value);
}

Terms terms_of(std::uint32_t max_payload_bytes, std::chrono::nanoseconds ping_interval) {
  return {max_payload_bytes, static_cast<std::uint32_t>(ping_interval / std::chrono::milliseconds(1))};
}

std::chrono::nanoseconds silence_allowed(std::chrono::nanoseconds usual, const Terms& theirs) {
  const std::chrono::milliseconds some_pings(4 * std::uint64_t(theirs.ping_interval_ms));
  return std::max<std::chrono::nanoseconds>(usual,
                                            std::min<std::chrono::milliseconds>(some_pings, kMaxSilence));
}

std::chrono::nanoseconds ping_interval_for(std::chrono::nanoseconds usual, const Terms& theirs) {
  if (theirs.ping_interval_ms == 0) return usual;
  const std::chrono::milliseconds wanted(theirs.ping_interval_ms);
  return std::min<std::chrono::nanoseconds>(usual, std::max(wanted, kShortestPing));
}

std::chrono::nanoseconds silence_for(std::chrono::nanoseconds usual, const Terms& theirs) {
  if (theirs.ping_interval_ms == 0) return usual;
  const std::chrono::milliseconds wanted(theirs.ping_interval_ms);
  const std::chrono::nanoseconds some_pings = kPingsMissed * std::max(wanted, kShortestPing);
  return silence_allowed(std::min(usual, some_pings), theirs);
}

std::string_view to_string(Reason reason) {
  switch (reason) {
    case Reason::kNone:
      return "none";
    case Reason::kVersion:
      return "version";
    case Reason::kCluster:
      return "cluster";
    case Reason::kNode:
      return "node";
    case Reason::kCertificate:
      return "certificate";
    case Reason::kBusy:
      return "busy";
    case Reason::kStopping:
      return "stopping";
    case Reason::kMalformed:
      return "malformed";
  }
  return "unknown";
}

std::string encode(const Hello& from) {
  fbs::HelloT to;
  put(from.from, from.nonce, from.terms, to);
  to.to = from.to.value;
  to.joins = from.joins;
  return pack(to);
}
std::string encode(const HelloAnswer& from) {
  fbs::HelloAnswerT to;
  to.reason = static_cast<std::uint8_t>(from.refusal.reason);
  to.text = short_text(from.refusal.text);
  to.version = from.welcome.version;
  put(from.welcome.from, from.welcome.nonce, from.welcome.terms, to);
  return pack(to);
}
std::string encode_goodbye(const Refusal& why) {
  fbs::GoodbyeT to;
  to.reason = static_cast<std::uint8_t>(why.reason);
  to.text = short_text(why.text);
  return pack(to);
}

Result<Hello> decode_hello(std::string_view from) {
  const std::string aligned(from);
  STELE_TRY(const auto* table, table_of<fbs::Hello>(aligned, "a hello"));
  Hello hello;
  take(*table, hello);
  hello.to = NodeId(table->to());
  hello.joins = table->joins();
  return hello;
}
Result<HelloAnswer> decode_hello_answer(std::string_view from) {
  const std::string aligned(from);
  STELE_TRY(const auto* table, table_of<fbs::HelloAnswer>(aligned, "the answer to a hello"));
  HelloAnswer answer;
  answer.refusal = {reason_of(table->reason()), text_of(table->text())};
  answer.welcome.version = table->version();
  take(*table, answer.welcome);
  return answer;
}
Result<Refusal> decode_goodbye(std::string_view from) {
  const std::string aligned(from);
  STELE_TRY(const auto* table, table_of<fbs::Goodbye>(aligned, "a goodbye"));
  return Refusal{reason_of(table->reason()), text_of(table->text())};
}

std::optional<Refusal> check(const Hello& hello, const Identity& self,
                             const std::optional<std::string>& certificate) {
  if (!hello.joins) {
    if (auto no = check_cluster(hello.from, self)) return no;
  }
  if (auto no = check_versions(hello.from, self)) return no;
  if (!hello.joins && hello.to != self.node) {
    return Refusal{Reason::kNode, "this is " + name_of(self.node) + ", not " + name_of(hello.to)};
  }
  if (hello.from.node == self.node) {
    return Refusal{Reason::kNode, name_of(self.node) + " is here already: two nodes have the same number"};
  }
  return check_certificate(hello.from.node, certificate);
}

std::optional<Refusal> check(const Welcome& welcome, const Identity& self, std::optional<NodeId> to,
                             const std::optional<std::string>& certificate) {
  if (to) {
    if (auto no = check_cluster(welcome.from, self)) return no;
  }
  if (common_version(welcome.from.versions, self.versions) != welcome.version) {
    return Refusal{Reason::kVersion, name_of(welcome.from.node) + " wants to speak version " +
                                         std::to_string(welcome.version) +
                                         " of the protocol between nodes, which was not agreed on"};
  }
  if (to && welcome.from.node != *to) {
    return Refusal{Reason::kNode, name_of(welcome.from.node) + " answers for " + name_of(*to)};
  }
  if (welcome.from.node == self.node) {
    return Refusal{Reason::kNode, name_of(self.node) + " answers itself, or another has its number"};
  }
  return check_certificate(welcome.from.node, certificate);
}

}  // namespace stele::rpc
