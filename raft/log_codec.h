// What a member of a Raft group writes to its disk, as bytes (docs/formats/raft-log.md). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "raft/core/types.h"
#include "storage/log_entry.h"

namespace stele::raft {

// Everything but the entries. The newest record counts.
struct LogState {
  HardState hard;
  SnapshotInfo start;  // the log begins after it, with who took part there
  friend bool operator==(const LogState&, const LogState&) = default;
};

struct LogRecord {
  enum class Type : std::uint8_t {
    kState = 1,     // `state`
    kReplace = 2,   // `state`; all entries before it are void, whatever their index
    kTruncate = 3,  // entries at `entry.index` and above are void. Only the index counts
    kEntry = 4,     // follows the one before it
    kRepair = 5,    // in the place of an entry that was lost; what is above it stays
  };
  Type type = Type::kEntry;
  Entry entry;
  LogState state;
};

// The payload is shared, not copied.
storage::LogEntry encode(const LogRecord& record);
// As it is read back: in memory still head and body, from the disk all head. The payload is a slice of it.
// kCorrupt: malformed. kUnsupported: of a newer version.
Result<LogRecord> decode_log_record(const storage::LogEntry& stored);

}  // namespace stele::raft
