// Snapshots of a shard's state (docs/formats/shard-snapshot.md): a header, sections of whole records, and an
// end that covers all of it. The hash of a state is that of its sections, so equal states have equal hashes.
#include <string>

#include "base/crc32c.h"
#include "base/hash.h"
#include "base/mutants.h"
#include "broker/shard_state.h"

namespace stele::broker {
namespace {

constexpr std::string_view kMagic = "STELSNAP";
constexpr std::uint32_t kVersion = 5;
constexpr std::size_t kSectionOverhead = 1 + 8 + 4;  // kind, length; CRC behind it
constexpr std::size_t kSectionBytes = 256 << 10;     // a section ends with the record that passes it

enum Section : std::uint8_t {
  kGeneral = 1,
  kStreams = 2,
  kSessions = 3,
  kRetained = 4,
  kCursors = 5,
  kPendingForwards = 6,
  kProducers = 7,
  kGroups = 8,
  kWills = 9,
  kEnd = 255,
};

std::unexpected<Error> bad(const char* what) {
  return error(ErrorCode::kCorrupt, std::string("shard snapshot: ") + what);
}

std::uint32_t small(Reader& reader) {
  const std::uint64_t value = reader.uvarint();
  if (value > UINT32_MAX) reader.fail();
  return static_cast<std::uint32_t>(value);
}

std::string framed(std::uint8_t kind, std::string_view payload) {
  std::string out;
  out.reserve(kSectionOverhead + payload.size());
  Writer writer(out);
  writer.u8(kind).le(static_cast<std::uint64_t>(payload.size())).bytes(payload);
  writer.le(crc32c(out));
  return out;
}

// Collects records of one kind and hands them on in sections.
template <class Sink>
class Sections {
 public:
  Sections(std::uint8_t kind, Sink& sink) : kind_(kind), sink_(sink) {}
  template <class Write>
  void add(Write&& write) {
    Writer writer(payload_);
    write(writer);
    if (payload_.size() >= kSectionBytes) flush();
  }
  void flush() {
    if (!payload_.empty()) sink_(kind_, std::string_view(payload_));
    payload_.clear();
  }

 private:
  const std::uint8_t kind_;
  Sink& sink_;
  std::string payload_;
};

}  // namespace

// ---- writing --------------------------------------------------------------------------------------------

template <class Sink>
void ShardState::encode_sections(Sink&& sink) const {
  {
    std::string general;
    Writer writer(general);
    writer.uvarint(next_.value).varint(time_.ms).uvarint(epoch_.value);
    writer.uvarint(limits_.session_queue.messages).uvarint(limits_.session_queue.bytes);
    writer.uvarint(limits_.queued_messages)
        .uvarint(limits_.retained_messages)
        .uvarint(limits_.retained_bytes);
    writer.uvarint(limits_.sessions).uvarint(limits_.subscriptions_per_session);
    writer.uvarint(next_session_number_).uvarint(dropped_messages_);
    writer.uvarint(limits_.producers).uvarint(producers_.evicted());
    writer.uvarint(limits_.unreleased_per_session).uvarint(limits_.will_bytes);
    sink(kGeneral, std::string_view(general));
  }
  Sections streams(kStreams, sink);
  for (const auto& [id, stream] : streams_) {
    streams.add([&](Writer& writer) {
      writer.uvarint(id.topic.value).uvarint(static_cast<std::uint32_t>(id.partition.value));
      stream.encode(writer);
    });
  }
  streams.flush();
  Sections sessions(kSessions, sink);
  for (const auto& [key, session] : sessions_) {
    sessions.add([&](Writer& writer) { session.encode(writer); });
  }
  sessions.flush();
  Sections retained(kRetained, sink);
  for (const auto& [key, message] : retained_) {
    retained.add([&](Writer& writer) {
      writer.uvarint(key.first.value).sized(key.second).uvarint(message.lsn.value);
      writer.varint(message.expires_at_ms).sized(message.batch);
    });
  }
  retained.flush();
  Sections cursors(kCursors, sink);
  for (const auto& [source, cursor] : cursors_) {
    cursors.add([&](Writer& writer) {
      writer.uvarint(source.value).uvarint(cursor.epoch.value).uvarint(cursor.next.value);
      writer.uvarint(cursor.copying.value).uvarint(cursor.copied.size());
      for (StreamId id : cursor.copied) {
        writer.uvarint(id.topic.value).uvarint(static_cast<std::uint32_t>(id.partition.value));
      }
    });
  }
  cursors.flush();
  Sections pending(kPendingForwards, sink);
  for (const auto& [target, lsns] : pending_forwards_) {
    pending.add([&](Writer& writer) {
      writer.uvarint(target.value).uvarint(lsns.size());
      std::uint64_t before = 0;
      for (Lsn lsn : lsns) {
        writer.uvarint(lsn.value - before);
        before = lsn.value;
      }
    });
  }
  pending.flush();
  Sections producers(kProducers, sink);
  producers_.encode([&](auto&& one) { producers.add(one); });
  producers.flush();
  Sections groups(kGroups, sink);
  for (const auto& [key, group] : groups_.all()) {
    groups.add([&](Writer& writer) { GroupTable::encode(writer, key, group); });
  }
  groups.flush();
  if (mutant(Mutant::kWillNotKept)) return;
  Sections wills(kWills, sink);
  for (const auto& [id, will] : wills_.all()) {
    wills.add([&](Writer& writer) { WillTable::encode(writer, id, will); });
  }
  wills.flush();
}

std::uint64_t ShardState::hash() const {
  Hasher hasher;
  encode_sections([&](std::uint8_t kind, std::string_view payload) { hasher.add(kind).add(payload); });
  return hasher.value();
}

std::vector<Bytes> ShardState::encode_snapshot_chunks() const {
  std::vector<Bytes> chunks;
  std::uint32_t crc = 0;
  std::uint64_t length = 0;
  const auto put = [&](const std::string& bytes) {
    crc = crc32c(bytes, crc);
    length += bytes.size();
    chunks.push_back(Bytes::copy(bytes));
  };
  std::string start(kMagic);
  Writer(start).le(kVersion);
  put(start);
  encode_sections([&](std::uint8_t kind, std::string_view payload) { put(framed(kind, payload)); });
  std::string end;
  Writer(end).le(length).le(crc);
  put(framed(kEnd, end));
  return chunks;
}

std::string ShardState::encode_snapshot() const {
  std::string whole;
  for (const Bytes& chunk : encode_snapshot_chunks()) whole.append(chunk);
  return whole;
}

// ---- reading --------------------------------------------------------------------------------------------

Result<ShardState> ShardState::decode_snapshot(std::string_view bytes) {
  Reader reader(bytes);
  if (reader.bytes(kMagic.size()) != kMagic) return bad("wrong magic");
  const auto version = reader.le<std::uint32_t>();
  if (reader.ok() && version > kVersion) {
    return error(ErrorCode::kUnsupported, "shard snapshot: version " + std::to_string(version) +
                                              " was written by a newer version of Stele");
  }
  if (reader.failed() || version == 0) return bad("unknown version");
  ShardState state;
  std::uint8_t before = 0;
  while (true) {
    const std::string_view left = reader.rest();
    const std::uint8_t kind = reader.u8();
    const auto length = reader.le<std::uint64_t>();
    if (reader.failed() || length > reader.remaining()) return bad("cut short");
    const std::string_view payload = reader.bytes(static_cast<std::size_t>(length));
    const auto crc = reader.le<std::uint32_t>();
    if (reader.failed()) return bad("cut short");
    if (crc32c(left.substr(0, 9 + payload.size())) != crc) return bad("checksum of a section does not fit");
    Reader section(payload);
    if (kind == kEnd) {
      const std::size_t size = bytes.size() - left.size();
      const bool fits =
          section.le<std::uint64_t>() == size && section.le<std::uint32_t>() == crc32c(bytes.substr(0, size));
      if (!fits || !section.at_end() || !reader.at_end()) return bad("end does not fit");
      if (before == 0) return bad("empty");
      return state;
    }
    // In order, and what is general exactly once, first.
    if ((before == 0) != (kind == kGeneral) || kind < before) return bad("sections out of order");
    before = kind;
    do {
      state.decode_section(kind, version, section);
    } while (section.ok() && !section.at_end() && kind != kGeneral);
    if (section.failed() || !section.at_end()) return bad("content of a section makes no sense");
  }
}

void ShardState::decode_section(std::uint8_t kind, std::uint32_t version, Reader& reader) {
  switch (kind) {
    case kGeneral:
      return decode_general(version, reader);
    case kStreams:
      return decode_stream(reader);
    case kSessions:
      return decode_session(version, reader);
    case kRetained:
      return decode_retained(reader);
    case kCursors:
      return decode_cursor(reader);
    case kPendingForwards:
      return decode_pending(reader);
    case kProducers:
      if (version < 2) return reader.fail();
      return decode_producer(reader);
    case kGroups:
      if (version < 4) return reader.fail();
      return groups_.decode(reader);
    case kWills:
      if (version < 5) return reader.fail();
      return wills_.decode(reader, next_, time_);
    default:
      return reader.fail();
  }
}

void ShardState::decode_general(std::uint32_t version, Reader& reader) {
  next_ = Lsn(reader.uvarint());
  time_ = WallTime{reader.varint()};
  epoch_ = Epoch(reader.uvarint());
  limits_.session_queue.messages = reader.uvarint();
  limits_.session_queue.bytes = reader.uvarint();
  limits_.queued_messages = reader.uvarint();
  limits_.retained_messages = reader.uvarint();
  limits_.retained_bytes = reader.uvarint();
  limits_.sessions = reader.uvarint();
  limits_.subscriptions_per_session = reader.uvarint();
  next_session_number_ = small(reader);
  dropped_messages_ = reader.uvarint();
  if (version >= 2) {  // before there were no producers
    limits_.producers = reader.uvarint();
    producers_.set_evicted(reader.uvarint());
  }
  if (version >= 3) limits_.unreleased_per_session = reader.uvarint();  // before there was no QoS 2
  if (version >= 5) limits_.will_bytes = reader.uvarint();              // before there were no wills
  constexpr std::int64_t kTimeLimit = std::int64_t{1} << 60;
  if (next_session_number_ == 0 || time_.ms < -kTimeLimit || time_.ms > kTimeLimit) reader.fail();
}

namespace {

StreamId decode_stream_id(Reader& reader) {
  StreamId id;
  id.topic = TopicId(reader.uvarint());
  const std::uint64_t partition = reader.uvarint();
  if (partition > INT32_MAX) reader.fail();
  id.partition = PartitionId(static_cast<std::int32_t>(partition));
  return id;
}

}  // namespace

// Each of these comes in the order of its map, so that a snapshot is the only one of its state.
void ShardState::decode_stream(Reader& reader) {
  const StreamId id = decode_stream_id(reader);
  if (!streams_.empty() && !(streams_.rbegin()->first < id)) reader.fail();
  StreamState stream = StreamState::decode(reader, next_);
  if (reader.failed()) return;
  index_captures(id, streams_.emplace(id, std::move(stream)).first->second, true);
}

void ShardState::decode_session(std::uint32_t version, Reader& reader) {
  SessionState session = SessionState::decode(reader, version, next_);
  const SessionKey key(session.tenant, session.client_id);
  if (!sessions_.empty() && !(sessions_.rbegin()->first < key)) reader.fail();
  if (session.number == 0 || session.number >= next_session_number_) reader.fail();
  if (reader.failed() || by_number_.contains(session.number)) return reader.fail();
  index_session(sessions_.emplace(key, std::move(session)).first->second);
}

void ShardState::decode_retained(Reader& reader) {
  const TenantId tenant(small(reader));
  RetainedKey key(tenant, reader.sized());
  Retained message;
  message.lsn = Lsn(reader.uvarint());
  message.expires_at_ms = reader.varint();
  message.batch = Bytes::copy(reader.sized());
  if (!retained_.empty() && !(retained_.rbegin()->first < key)) reader.fail();
  if (reader.failed() || message.lsn >= next_) return reader.fail();
  put_retained(std::move(key), std::move(message));
}

void ShardState::decode_cursor(Reader& reader) {
  const ShardId source(small(reader));
  Cursor cursor;
  cursor.epoch = Epoch(reader.uvarint());
  cursor.next = Lsn(reader.uvarint());
  cursor.copying = Lsn(reader.uvarint());
  const std::uint64_t copied = reader.uvarint();
  for (std::uint64_t i = 0; i < copied && reader.ok(); ++i) cursor.copied.push_back(decode_stream_id(reader));
  if (!cursors_.empty() && !(cursors_.rbegin()->first < source)) reader.fail();
  if (reader.ok()) cursors_.emplace(source, std::move(cursor));
}

void ShardState::decode_pending(Reader& reader) {
  const ShardId target(small(reader));
  Fifo<Lsn> lsns;
  std::uint64_t lsn = 0;
  const std::uint64_t count = reader.uvarint();
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    const std::uint64_t step = reader.uvarint();
    if (step >= next_.value - lsn || (i > 0 && step == 0)) return reader.fail();
    lsns.push_back(Lsn(lsn += step));
  }
  if (!pending_forwards_.empty() && !(pending_forwards_.rbegin()->first < target)) reader.fail();
  if (count == 0) reader.fail();
  if (reader.ok()) pending_forwards_.emplace(target, std::move(lsns));
}

void ShardState::decode_producer(Reader& reader) {
  const auto [id, next] = producers_.decode(reader, next_, time_);
  if (reader.failed()) return;
  const StreamState* written = stream(id);
  if (!written || next > written->next() || producers_.size() > limits_.producers) reader.fail();
}

}  // namespace stele::broker
