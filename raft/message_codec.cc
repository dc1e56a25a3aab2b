#include "raft/message_codec.h"

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include "base/crc32c.h"
#include "base/wire.h"
#include "raft/wire_parts.h"

namespace stele::raft {
namespace {

enum class Kind : std::uint8_t {
  kVoteRequest = 1,
  kVoteAnswer = 2,
  kAppend = 3,
  kAppendAnswer = 4,
  kHeartbeat = 5,
  kHeartbeatAnswer = 6,
  kTermNotice = 7,
  kReadRequest = 8,
  kReadAnswer = 9,
  kTimeoutNow = 10,
  kInstallSnapshot = 11,
  kRepairRequest = 12,
  kRepairAnswer = 13,
  kSnapshotPart = 14,
  kSnapshotAnswer = 15,
};

// Payloads above this are slices of their own; what is smaller is cheaper to copy.
constexpr std::size_t kOwnSlice = 4096;

class Encoder {
 public:
  template <class Message>
  std::vector<Bytes> run(const Message& message) {
    w_.uvarint(message.from.value).uvarint(message.to.value).uvarint(message.term.value);
    std::visit([&](const auto& body) { this->put_body(body); }, message.body);
    flush();
    return std::move(out_);
  }

 private:
  Writer& kind(Kind kind) { return w_.u8(static_cast<std::uint8_t>(kind)); }
  Writer& flag(bool value) { return w_.u8(value ? 1 : 0); }
  void slots(SlotRange slots) { w_.uvarint(slots.first.value).uvarint(slots.last.value); }
  void entries(const std::vector<Entry>& entries) {
    w_.uvarint(entries.size());
    for (const Entry& entry : entries) {
      w_.uvarint(entry.index.value);
      put_head(w_, entry);
      payload(entry.payload);
    }
  }
  void payload(const Bytes& bytes) {
    w_.uvarint(bytes.size());
    if (bytes.size() < kOwnSlice) {
      w_.bytes(bytes.view());
    } else {
      flush();
      out_.push_back(bytes);
    }
  }

  void put_body(const VoteRequest& body) {
    kind(Kind::kVoteRequest);
    flag(body.pre);
    flag(body.transfer);
    put(w_, body.last);
  }
  void put_body(const VoteAnswer& body) {
    kind(Kind::kVoteAnswer);
    flag(body.pre);
    flag(body.granted);
  }
  void put_body(const Append& body) {
    kind(Kind::kAppend);
    put(w_, body.previous);
    w_.uvarint(body.commit.value);
    entries(body.entries);
  }
  void put_body(const AppendAnswer& body) {
    kind(Kind::kAppendAnswer).u8(static_cast<std::uint8_t>(body.result)).uvarint(body.index.value);
    put(w_, body.hint);
  }
  void put_body(const Heartbeat& body) {
    kind(Kind::kHeartbeat).uvarint(body.commit.value).uvarint(body.read_round);
  }
  void put_body(const HeartbeatAnswer& body) { kind(Kind::kHeartbeatAnswer).uvarint(body.read_round); }
  void put_body(const TermNotice&) { kind(Kind::kTermNotice); }
  void put_body(const ReadRequest& body) { kind(Kind::kReadRequest).uvarint(body.context); }
  void put_body(const ReadAnswer& body) {
    kind(Kind::kReadAnswer).uvarint(body.context).uvarint(body.index.value);
  }
  void put_body(const TimeoutNow&) { kind(Kind::kTimeoutNow); }
  void put_body(const InstallSnapshot& body) {
    kind(Kind::kInstallSnapshot);
    put(w_, LogPoint{body.snapshot.term, body.snapshot.index});
    put(w_, body.snapshot.membership);
  }
  void put_body(const RepairRequest& body) {
    kind(Kind::kRepairRequest);
    slots(body.slots);
    put(w_, body.next);
  }
  void put_body(const RepairAnswer& body) {
    kind(Kind::kRepairAnswer);
    slots(body.slots);
    put(w_, body.next);
    flag(body.same_log);
    entries(body.entries);
  }

  void put_body(const SnapshotPart& body) {
    kind(Kind::kSnapshotPart);
    put(w_, LogPoint{body.snapshot.term, body.snapshot.index});
    put(w_, body.snapshot.membership);
    w_.uvarint(body.copy.bytes).le(body.copy.checksum).uvarint(body.offset);
    w_.le(crc32c(body.data.view()));
    payload(body.data);
  }
  void put_body(const SnapshotAnswer& body) {
    kind(Kind::kSnapshotAnswer);
    put(w_, body.last);
    w_.uvarint(body.copy.bytes).le(body.copy.checksum).uvarint(body.have);
    w_.u8(static_cast<std::uint8_t>(body.state));
  }

  void flush() {
    if (text_.empty()) return;
    out_.push_back(Bytes::copy(text_));
    text_.clear();
  }

  std::string text_;
  Writer w_{text_};
  std::vector<Bytes> out_;
};

class Decoder {
 public:
  explicit Decoder(const Bytes& bytes) : bytes_(bytes), r_(bytes.view()) {}

  Result<MemberMessage> run() {
    const NodeId from = take_node(r_);
    const NodeId to = take_node(r_);
    const Term term{r_.uvarint()};
    const std::uint8_t number = r_.u8();
    const auto kind = static_cast<Kind>(number);
    if (r_.failed()) return error(ErrorCode::kMalformed, "a message of a Raft member is cut short");
    std::optional<MemberMessage> message;
    if (kind == Kind::kSnapshotPart) {
      message = SnapshotMessage{from, to, term, take_snapshot_part()};
    } else if (kind == Kind::kSnapshotAnswer) {
      message = SnapshotMessage{from, to, term, take_snapshot_answer()};
    } else if (auto body = take_body(kind)) {
      message = PeerMessage{from, to, term, *std::move(body)};
    } else {
      return error(ErrorCode::kMalformed, "a message of a Raft member is of kind " + std::to_string(number) +
                                              ", which there is not");
    }
    if (r_.failed() || !r_.at_end()) {
      return error(ErrorCode::kMalformed,
                   "a message of a Raft member, of kind " + std::to_string(number) + ", makes no sense");
    }
    return *std::move(message);
  }

 private:
  LogIndex index() { return LogIndex(r_.uvarint()); }
  SlotRange slots() {
    const LogIndex first = index();
    return {first, index()};
  }
  std::vector<Entry> entries() {
    std::vector<Entry> out;
    for (std::uint64_t left = r_.uvarint(); left > 0 && r_.ok(); --left) {
      Entry entry;
      entry.index = index();
      take_head(r_, entry);
      const std::string_view payload = r_.sized();
      if (r_.failed()) break;
      entry.payload = payload.empty() ? Bytes() : bytes_.slice(payload);
      out.push_back(std::move(entry));
    }
    return out;
  }

  std::optional<MessageBody> take_body(Kind kind) {
    switch (kind) {
      case Kind::kVoteRequest: {
        VoteRequest body;
        body.pre = take_bool(r_);
        body.transfer = take_bool(r_);
        body.last = take_point(r_);
        return body;
      }
      case Kind::kVoteAnswer: {
        VoteAnswer body;
        body.pre = take_bool(r_);
        body.granted = take_bool(r_);
        return body;
      }
      case Kind::kAppend: {
        Append body;
        body.previous = take_point(r_);
        body.commit = index();
        body.entries = entries();
        return body;
      }
      case Kind::kAppendAnswer:
        return take_append_answer();
      case Kind::kHeartbeat: {
        Heartbeat body;
        body.commit = index();
        body.read_round = r_.uvarint();
        return body;
      }
      case Kind::kHeartbeatAnswer:
        return HeartbeatAnswer{r_.uvarint()};
      case Kind::kTermNotice:
        return TermNotice{};
      case Kind::kReadRequest:
        return ReadRequest{r_.uvarint()};
      case Kind::kReadAnswer: {
        ReadAnswer body;
        body.context = r_.uvarint();
        body.index = index();
        return body;
      }
      case Kind::kTimeoutNow:
        return TimeoutNow{};
      case Kind::kInstallSnapshot: {
        const LogPoint at = take_point(r_);
        return InstallSnapshot{{.index = at.index, .term = at.term, .membership = take_membership(r_)}};
      }
      case Kind::kRepairRequest: {
        RepairRequest body;
        body.slots = slots();
        body.next = take_point(r_);
        return body;
      }
      case Kind::kRepairAnswer: {
        RepairAnswer body;
        body.slots = slots();
        body.next = take_point(r_);
        body.same_log = take_bool(r_);
        body.entries = entries();
        return body;
      }
      case Kind::kSnapshotPart:
      case Kind::kSnapshotAnswer:
        break;  // not the core's
    }
    return std::nullopt;
  }

  SnapshotPart take_snapshot_part() {
    SnapshotPart body;
    const LogPoint at = take_point(r_);
    body.snapshot = {.index = at.index, .term = at.term, .membership = take_membership(r_)};
    take_copy(body.copy);
    body.offset = r_.uvarint();
    const auto checksum = r_.le<std::uint32_t>();
    const std::string_view data = r_.sized();
    if (r_.failed()) return body;
    if (crc32c(data) != checksum) r_.fail();
    if (body.offset > body.copy.bytes || data.size() > body.copy.bytes - body.offset) r_.fail();
    if (!data.empty()) body.data = bytes_.slice(data);
    return body;
  }
  SnapshotAnswer take_snapshot_answer() {
    SnapshotAnswer body;
    body.last = take_point(r_);
    take_copy(body.copy);
    body.have = r_.uvarint();
    const std::uint8_t state = r_.u8();
    if (state > static_cast<std::uint8_t>(SnapshotState::kRefused)) r_.fail();
    body.state = static_cast<SnapshotState>(state);
    return body;
  }
  void take_copy(SnapshotCopyId& copy) {
    copy.bytes = r_.uvarint();
    copy.checksum = r_.le<std::uint32_t>();
  }

  AppendAnswer take_append_answer() {
    AppendAnswer body;
    const std::uint8_t result = r_.u8();
    if (result > static_cast<std::uint8_t>(AppendResult::kUncertain)) r_.fail();
    body.result = static_cast<AppendResult>(result);
    body.index = index();
    body.hint = take_point(r_);
    return body;
  }

  const Bytes& bytes_;
  Reader r_;
};

}  // namespace

std::vector<Bytes> encode(const PeerMessage& message) {
  return Encoder().run(message);
}

std::vector<Bytes> encode(const SnapshotMessage& message) {
  return Encoder().run(message);
}

Result<MemberMessage> decode_message(const Bytes& bytes) {
  return Decoder(bytes).run();
}

}  // namespace stele::raft
