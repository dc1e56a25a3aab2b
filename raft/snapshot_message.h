// How the copy of a state machine goes from one member's driver to another's, beside the core's messages.
// Plain values.
//
// The sender sends parts, a window of them ahead of what is answered; the receiver takes them in their order
// and answers how far it is, so that either may begin again from there. When all of it is there, and checked,
// the receiver's core is given an InstallSnapshot of the message's sender and term.
#pragma once

#include <cstdint>
#include <variant>

#include "base/bytes.h"
#include "raft/core/types.h"

namespace stele::raft {

// Tells one copy from another of the same entry.
struct SnapshotCopyId {
  std::uint64_t bytes = 0;     // of all of it
  std::uint32_t checksum = 0;  // CRC-32C of all of it
  friend bool operator==(const SnapshotCopyId&, const SnapshotCopyId&) = default;
};

struct SnapshotPart {
  SnapshotInfo snapshot;
  SnapshotCopyId copy;
  std::uint64_t offset = 0;  // of `data` in the copy, in bytes
  Bytes data;
};

enum class SnapshotState : std::uint8_t {
  kReceiving,  // more is wanted, from `have` on
  kDone,       // nothing more is needed of it
  kRefused,    // it cannot be taken now
};
struct SnapshotAnswer {
  LogPoint last;  // of the snapshot
  SnapshotCopyId copy;
  std::uint64_t have = 0;  // bytes from the beginning that have come
  SnapshotState state = SnapshotState::kReceiving;
};

struct SnapshotMessage {
  NodeId from;
  NodeId to;
  Term term;  // the sender's
  std::variant<SnapshotPart, SnapshotAnswer> body;
};

}  // namespace stele::raft
