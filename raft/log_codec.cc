#include "raft/log_codec.h"

#include <utility>

#include "base/wire.h"

namespace stele::raft {
namespace {

constexpr std::uint8_t kVersion = 1;

void put(Writer& w, LogPoint point) {
  w.uvarint(point.term.value).uvarint(point.index.value);
}
LogPoint take_point(Reader& r) {
  const Term term{r.uvarint()};
  return {term, LogIndex(r.uvarint())};
}

void put(Writer& w, const NodeSet& nodes) {
  w.uvarint(nodes.size());
  for (const NodeId node : nodes) w.uvarint(node.value);
}
NodeId take_node(Reader& r) {
  const std::uint64_t value = r.uvarint();
  if (value > UINT32_MAX) r.fail();
  return NodeId(static_cast<std::uint32_t>(value));
}
// Ascending, each once.
NodeSet take_nodes(Reader& r) {
  NodeSet nodes;
  for (std::uint64_t left = r.uvarint(); left > 0 && r.ok(); --left) {
    const NodeId node = take_node(r);
    if (!nodes.empty() && node <= *nodes.rbegin()) r.fail();
    nodes.insert(nodes.end(), node);
  }
  return nodes;
}

void put(Writer& w, const Membership& who) {
  put(w, who.voters);
  put(w, who.voters_outgoing);
  put(w, who.learners);
  put(w, who.learners_next);
  w.u8(who.auto_leave ? 1 : 0);
}
Membership take_membership(Reader& r) {
  Membership who;
  who.voters = take_nodes(r);
  who.voters_outgoing = take_nodes(r);
  who.learners = take_nodes(r);
  who.learners_next = take_nodes(r);
  who.auto_leave = r.u8() != 0;
  return who;
}

std::unexpected<Error> malformed(std::string_view what) {
  return error(ErrorCode::kCorrupt, "a record of the Raft log is no " + std::string(what));
}

void put(Writer& w, const LogState& state) {
  w.u8(kVersion).uvarint(state.hard.term.value);
  w.u8(state.hard.vote ? 1 : 0).uvarint(state.hard.vote ? state.hard.vote->value : 0);
  put(w, state.hard.doubt);
  put(w, LogPoint{state.start.term, state.start.index});
  put(w, state.start.membership);
}

Result<LogState> take_state(Reader& r) {
  const std::uint8_t version = r.u8();
  if (r.ok() && version > kVersion) {
    return error(ErrorCode::kUnsupported,
                 "the Raft log is of version " + std::to_string(version) + ", written by a newer program");
  }
  LogState state;
  state.hard.term = Term(r.uvarint());
  const bool voted = r.u8() != 0;
  const NodeId vote = take_node(r);
  if (voted) state.hard.vote = vote;
  state.hard.doubt = take_point(r);
  const LogPoint start = take_point(r);
  state.start = {.index = start.index, .term = start.term, .membership = take_membership(r)};
  if (r.failed() || !r.at_end()) return malformed("state");
  return state;
}

}  // namespace

storage::LogEntry encode(const LogRecord& record) {
  std::string head;
  Writer w(head);
  w.u8(static_cast<std::uint8_t>(record.type));
  switch (record.type) {
    case LogRecord::Type::kState:
    case LogRecord::Type::kReplace:
      put(w, record.state);
      return {.head = Bytes::copy(head), .body = {}};
    case LogRecord::Type::kTruncate:
      w.uvarint(record.entry.index.value);
      return {.head = Bytes::copy(head), .body = {}};
    case LogRecord::Type::kEntry:
    case LogRecord::Type::kRepair:
      w.uvarint(record.entry.index.value).uvarint(record.entry.term.value);
      w.u8(static_cast<std::uint8_t>(record.entry.kind));
      if (record.entry.kind == EntryKind::kConfiguration) put(w, *record.entry.membership);
  }
  return {.head = Bytes::copy(head), .body = record.entry.payload};
}

Result<LogRecord> decode_log_record(const storage::LogEntry& stored) {
  Reader r(stored.head.view());
  LogRecord record;
  record.type = static_cast<LogRecord::Type>(r.u8());
  switch (record.type) {
    case LogRecord::Type::kState:
    case LogRecord::Type::kReplace: {
      STELE_TRY(record.state, take_state(r));
      return record;
    }
    case LogRecord::Type::kTruncate:
      record.entry.index = LogIndex(r.uvarint());
      if (r.failed() || !r.at_end()) return malformed("truncation");
      return record;
    case LogRecord::Type::kEntry:
    case LogRecord::Type::kRepair:
      break;
    default:
      return error(ErrorCode::kUnsupported,
                   "the Raft log has a record of a kind that this program does not know");
  }
  record.entry.index = LogIndex(r.uvarint());
  record.entry.term = Term(r.uvarint());
  const std::uint8_t kind = r.u8();
  if (r.failed() || kind > static_cast<std::uint8_t>(EntryKind::kEmpty)) return malformed("entry");
  record.entry.kind = static_cast<EntryKind>(kind);
  if (record.entry.kind == EntryKind::kConfiguration)
    record.entry.membership = std::make_shared<const Membership>(take_membership(r));
  const bool has_body = stored.body.size() > 0;
  if (r.failed() || (has_body && !r.at_end())) return malformed("entry");
  record.entry.payload =
      has_body ? stored.body : stored.head.slice(stored.head.size() - r.remaining(), r.remaining());
  return record;
}

}  // namespace stele::raft
