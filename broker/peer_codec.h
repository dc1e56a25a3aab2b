// What brokers of different nodes send each other, as bytes (docs/formats/broker-rpc.md). Pure.
//
// Decoders answer kMalformed for what makes no sense, take memory in proportion to the input, and do not read
// what a later version may have appended, to the whole or to an item. Bytes that are decoded are slices of
// the input and keep it: copy what is kept for long. Of batches the header is checked, and that they are
// whole; of addresses that they are ones. Encoders do not copy batches of 2 KiB and more.
//
// These fields do not travel:
//   DataMail::reply, DataAnswerMail::reply   the receiver makes its own; the call knows whose answer it is
//   DataMail::lane                           likewise
//   ForwardMail::reply_core, of_peer         likewise; so ForwardAnswerMail::for_peer
//   Data::room                               memory of the sender
//   SessionOptions::will                     views; what has been made of it is in OpenSession::will
//   ShareJoin::core                          of the asking node, which finds it by the attachment
// Errors come with their code, and at most rpc::kMaxErrorText of their text.
//
// Split: peer_codec.cc (what is said for each message), peer_codec_asks.cc (sessions), peer_codec_routes.cc;
// peer_wire.h has what they share.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "broker/live_bundle.h"
#include "broker/live_numbers.h"
#include "broker/mail.h"
#include "broker/route_change.h"
#include "broker/session_asks.h"
#include "rpc/frame.h"
#include "rpc/payload.h"

namespace stele::broker::wire {

// All are requests; the answer is in brackets, [] an empty one.
constexpr rpc::MethodId kPublish{300};  // DataMail [DataAnswerMail]
constexpr rpc::MethodId kForward{301};  // ForwardMail [ForwardAnswerMail]
constexpr rpc::MethodId kLive{302};     // Live []
constexpr rpc::MethodId kItems{303};    // [] Items: who asks waits for what his clients get
constexpr rpc::MethodId kSettle{304};   // Settle []
constexpr rpc::MethodId kAsk{305};      // SessionAsk [SessionAnswer]
constexpr rpc::MethodId kRoutes{306};   // RouteBatch [RouteBatchAnswer]

// What one turn of a core has for the live subscribers of another node, in order.
struct Live {
  LiveHead head;
  using Part = std::variant<LiveBundle, LiveMail>;
  std::vector<Part> parts;
};

// What a shard has for sessions that are connected to another node, in order. Each names an attachment there.
struct TakenOver {  // by another CONNECT: SessionHandler::on_taken_over
  std::uint64_t attachment = 0;
};
struct SessionLost {  // SessionHandler::on_session_lost
  std::uint64_t attachment = 0;
  Error why;
};
struct Items {
  using Part = std::variant<SessionMail, TakenOver, SessionLost>;
  std::vector<Part> parts;
};

// What the clients connected to one node say to shards of another, in order.
struct Settle {
  std::vector<SettleMail> settled;
};

rpc::Payload encode(const DataMail& from);
rpc::Payload encode(const DataAnswerMail& from);
rpc::Payload encode(const ForwardMail& from);
rpc::Payload encode(const ForwardAnswerMail& from);
rpc::Payload encode(const Live& from);
rpc::Payload encode(const Items& from);
rpc::Payload encode(const Settle& from);
rpc::Payload encode(const SessionAsk& from);
rpc::Payload encode(const SessionAnswer& from);
rpc::Payload encode(const RouteBatch& from);
rpc::Payload encode(const RouteBatchAnswer& from);

// Result<DataMail> mail = decode<DataMail>(payload); of each of the above.
template <class T>
Result<T> decode(const Bytes& from);
template <>
Result<DataMail> decode(const Bytes& from);
template <>
Result<DataAnswerMail> decode(const Bytes& from);
template <>
Result<ForwardMail> decode(const Bytes& from);
template <>
Result<ForwardAnswerMail> decode(const Bytes& from);
template <>
Result<Live> decode(const Bytes& from);
template <>
Result<Items> decode(const Bytes& from);
template <>
Result<Settle> decode(const Bytes& from);
template <>
Result<SessionAsk> decode(const Bytes& from);
template <>
Result<SessionAnswer> decode(const Bytes& from);
template <>
Result<RouteBatch> decode(const Bytes& from);
template <>
Result<RouteBatchAnswer> decode(const Bytes& from);

}  // namespace stele::broker::wire
