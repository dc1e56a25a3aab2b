#include "raft/log_codec.h"

#include <utility>

#include "base/wire.h"
#include "raft/wire_parts.h"

namespace stele::raft {
namespace {

constexpr std::uint8_t kVersion = 1;

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
  const bool voted = take_bool(r);
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
      w.uvarint(record.entry.index.value);
      put_head(w, record.entry);
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
  take_head(r, record.entry);
  const bool has_body = !stored.body.empty();
  if (r.failed() || (has_body && !r.at_end())) return malformed("entry");
  record.entry.payload =
      has_body ? stored.body : stored.head.slice(stored.head.size() - r.remaining(), r.remaining());
  return record;
}

}  // namespace stele::raft
