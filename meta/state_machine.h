// The state machine of the meta service: an SQLite database that changes only by commands of the log.
//
// Every command and the index that it was applied at become durable in one transaction. A command that is
// refused leaves no change but that index, and its answer says why; the same commands in the same order give
// the same database and the same answers on every node. docs/formats/meta-database.md has the tables.
//
// A proposal with an id may be in the log more than once, because whoever made it did not hear of the outcome
// (docs/formats/meta-commands.md): it is applied the first time, and answered the same way every time. One
// that comes so late that its first time may be forgotten is refused with kUnavailable.
//
// Blocking: used only inside jobs of Runtime::offload, one at a time; view() and applied() may be read
// between jobs. Destroying it does no I/O.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "meta/proposal.h"
#include "meta/types.h"
#include "model/ids.h"
#include "runtime/files.h"
#include "storage/sqlite.h"
#include "storage/sqlite_vfs.h"

namespace stele::meta {

class StateMachine {
 public:
  using Inputs = storage::SqliteVfs::Inputs;

  // Opens the database or makes an empty one; one of an older version is brought up to date. kUnsupported:
  // written by a newer version, or no database of the meta service. kCorrupt: damaged.
  static Result<std::unique_ptr<StateMachine>> open(runtime::BlockingFiles& files, const std::string& path,
                                                    Inputs inputs);

  // The index of the last command; 0 before the first, which has 1.
  std::uint64_t applied() const { return applied_; }
  // As of applied().
  std::shared_ptr<const MetaView> view() const { return view_; }

  // Proposals are remembered for so many indexes.
  static constexpr std::uint64_t kRemembered = 4096;

  // Applies proposals first_index, first_index + 1, … in one transaction; gives their answers
  // (encode_answer), an empty one for an index that was applied before. An empty command changes the index
  // only, and has an empty answer. All of them or, after an error, none: kNoSpace, and they may be tried
  // again; any other error, and this state machine is of no use any more (failed()).
  Result<std::vector<std::string>> apply(runtime::BlockingFiles& files, std::uint64_t first_index,
                                         std::span<const Proposal> proposals, Inputs inputs);
  const std::optional<Error>& failed() const { return failed_; }

  // In the order asked for. kNotFound: no such shard.
  Result<std::vector<Shard>> read_shards(runtime::BlockingFiles& files, std::span<const ShardId> ids,
                                         Inputs inputs);

  // Reads everything and says, a line each, what contradicts itself: pages and indexes by SQLite's own check,
  // then the rules of docs/formats/meta-database.md. Empty: all is well. For `stele verify`.
  Result<std::vector<std::string>> check(runtime::BlockingFiles& files, Inputs inputs);

 private:
  StateMachine() = default;
  Result<void> prepare_schema();
  Result<void> load();
  Error failed_before() const;
  Result<std::string> apply_once(std::uint64_t index, const Proposal& proposal,
                                 std::vector<struct ViewChange>& changes);
  Result<std::string> apply_one(std::uint64_t index, const std::string& command,
                                std::vector<struct ViewChange>& changes);

  storage::SqliteVfs vfs_;
  std::unique_ptr<storage::Database> database_;
  std::uint64_t applied_ = 0;
  std::uint64_t view_version_ = 0;
  std::shared_ptr<const MetaView> view_;
  std::optional<Error> failed_;
};

}  // namespace stele::meta
