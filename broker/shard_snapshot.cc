// Snapshots of a shard's state (docs/formats/shard-snapshot.md): a header, then the content. The hash of a
// state is that of its content, so equal states have equal hashes.
#include <cstring>

#include "base/crc32c.h"
#include "base/hash.h"
#include "broker/shard_state.h"

namespace stele::broker {
namespace {

constexpr std::string_view kMagic = "STELSNAP";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeader = 8 + 4 + 8 + 4;  // magic, version, length of the content, its CRC

}  // namespace

std::string ShardState::encode_content() const {
  std::string out;
  Writer writer(out);
  writer.uvarint(next_.value).varint(time_.ms).uvarint(epoch_.value);
  writer.uvarint(limits_.session_queue.messages).uvarint(limits_.session_queue.bytes);
  writer.uvarint(limits_.retained_messages).uvarint(limits_.retained_bytes);
  writer.uvarint(streams_.size());
  for (const auto& [id, stream] : streams_) {
    writer.uvarint(id.topic.value).uvarint(static_cast<std::uint32_t>(id.partition.value));
    stream.encode(writer);
  }
  writer.uvarint(next_session_number_).uvarint(sessions_.size());
  for (const auto& [key, session] : sessions_) session.encode(writer);
  writer.uvarint(retained_.size());
  for (const auto& [key, message] : retained_) {
    writer.uvarint(key.first.value).sized(key.second).uvarint(message.lsn.value).sized(message.batch);
  }
  writer.uvarint(cursors_.size());
  for (const auto& [source, cursor] : cursors_) {
    writer.uvarint(source.value).uvarint(cursor.epoch.value).uvarint(cursor.next.value);
  }
  writer.uvarint(pending_forwards_.size());
  for (const auto& [target, lsns] : pending_forwards_) {
    writer.uvarint(target.value).uvarint(lsns.size());
    std::uint64_t before = 0;
    for (Lsn lsn : lsns) {
      writer.uvarint(lsn.value - before);
      before = lsn.value;
    }
  }
  return out;
}

std::uint64_t ShardState::hash() const {
  return hash64(encode_content());
}

std::string ShardState::encode_snapshot() const {
  const std::string content = encode_content();
  std::string out;
  out.reserve(kHeader + content.size());
  Writer writer(out);
  writer.bytes(kMagic).le(kVersion).le(static_cast<std::uint64_t>(content.size())).le(crc32c(content));
  out += content;
  return out;
}

Result<ShardState> ShardState::decode_snapshot(std::string_view bytes) {
  Reader reader(bytes);
  if (reader.bytes(kMagic.size()) != kMagic) return error(ErrorCode::kCorrupt, "shard snapshot: wrong magic");
  const auto version = reader.le<std::uint32_t>();
  if (reader.ok() && version > kVersion) {
    return error(ErrorCode::kUnsupported, "shard snapshot: version " + std::to_string(version) +
                                              " was written by a newer version of Stele");
  }
  const auto length = reader.le<std::uint64_t>();
  const auto crc = reader.le<std::uint32_t>();
  if (reader.failed() || version != kVersion || length != reader.remaining()) {
    return error(ErrorCode::kCorrupt, "shard snapshot: header makes no sense");
  }
  if (crc32c(reader.rest()) != crc)
    return error(ErrorCode::kCorrupt, "shard snapshot: checksum does not fit");
  ShardState state;
  if (!state.decode_content(reader))
    return error(ErrorCode::kCorrupt, "shard snapshot: content makes no sense");
  return state;
}

bool ShardState::decode_content(Reader& reader) {
  next_ = Lsn(reader.uvarint());
  time_ = WallTime{reader.varint()};
  epoch_ = Epoch(reader.uvarint());
  limits_.session_queue = {reader.uvarint(), reader.uvarint()};
  limits_.retained_messages = reader.uvarint();
  limits_.retained_bytes = reader.uvarint();
  for (std::uint64_t left = reader.uvarint(); left > 0 && reader.ok(); --left) {
    StreamId id;
    id.topic = TopicId(reader.uvarint());
    id.partition = PartitionId(static_cast<std::int32_t>(reader.uvarint()));
    auto stream = StreamState::decode(reader);
    if (!stream || !streams_.emplace(id, *std::move(stream)).second) return false;
  }
  next_session_number_ = static_cast<std::uint32_t>(reader.uvarint());
  for (std::uint64_t left = reader.uvarint(); left > 0 && reader.ok(); --left) {
    auto session = SessionState::decode(reader);
    if (!session || session->number == 0 || session->number >= next_session_number_) return false;
    const SessionKey key(session->tenant, session->client_id);
    auto [at, added] = sessions_.emplace(key, *std::move(session));
    if (!added || by_number_.contains(at->second.number)) return false;
    index_session(at->second);
  }
  for (std::uint64_t left = reader.uvarint(); left > 0 && reader.ok(); --left) {
    const TenantId tenant(static_cast<std::uint32_t>(reader.uvarint()));
    std::string address(reader.sized());
    const Lsn lsn(reader.uvarint());
    Bytes batch = Bytes::copy(reader.sized());
    retained_bytes_ += batch.size();
    if (!retained_.emplace(RetainedKey(tenant, std::move(address)), Retained{lsn, std::move(batch)}).second)
      return false;
  }
  for (std::uint64_t left = reader.uvarint(); left > 0 && reader.ok(); --left) {
    const ShardId source(static_cast<std::uint32_t>(reader.uvarint()));
    const Epoch epoch(reader.uvarint());
    cursors_[source] = {epoch, Lsn(reader.uvarint())};
  }
  for (std::uint64_t left = reader.uvarint(); left > 0 && reader.ok(); --left) {
    auto& lsns = pending_forwards_[ShardId(static_cast<std::uint32_t>(reader.uvarint()))];
    std::uint64_t lsn = 0;
    for (std::uint64_t count = reader.uvarint(); count > 0 && reader.ok(); --count) {
      lsns.push_back(Lsn(lsn += reader.uvarint()));
    }
  }
  index_captures();
  return reader.ok() && reader.at_end();
}

}  // namespace stele::broker
