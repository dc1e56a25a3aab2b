// What the members of a group say to each other, as bytes (docs/formats/raft-messages.md). Pure.
//
// Who may speak at all is settled before, by the connection: both ends know cluster, version and node. What
// is decoded here may still be wrong in ways that only the core can tell; it ignores that.
#pragma once

#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "raft/core/types.h"
#include "raft/snapshot_message.h"

namespace stele::raft {

// As slices to be written one behind the other: payloads are shared, not copied.
std::vector<Bytes> encode(const PeerMessage& message);
std::vector<Bytes> encode(const SnapshotMessage& message);

// What one member's driver says to another's.
using MemberMessage = std::variant<PeerMessage, SnapshotMessage>;
// Payloads are slices of `bytes`. kMalformed: what is wrong with it, a part of a snapshot that does not fit
// its checksum included. Takes no more memory than a small multiple of what `bytes` has.
Result<MemberMessage> decode_message(const Bytes& bytes);

}  // namespace stele::raft
