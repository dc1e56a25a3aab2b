#include "server/verify.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "broker/shard_state.h"
#include "journal/snapshot_segment.h"
#include "meta/state_machine.h"
#include "server/data_format.h"
#include "storage/verify.h"

namespace stele::server {
namespace {

using runtime::Runtime;
using runtime::Task;

Task<Result<Bytes>> read_whole(runtime::Files& files, std::string path) {
  STELE_CO_TRY(const auto file, co_await files.open(path, {}));
  STELE_CO_TRY(const std::uint64_t size, co_await file->size());
  Buffer whole(size);
  std::uint64_t filled = 0;
  while (filled < size) {
    STELE_CO_TRY(const Bytes part,
                 co_await file->read(Position(filled), std::min<std::uint64_t>(size - filled, 1 << 20)));
    if (part.empty()) co_return error(ErrorCode::kIo, path + ": became shorter while it was read");
    std::copy_n(part.data(), part.size(), whole.data() + filled);
    filled += part.size();
  }
  co_return std::move(whole).freeze(size);
}

// The directory is one of ours, and nobody else uses it as long as the lock is held.
Task<Result<std::unique_ptr<runtime::Files::Lock>>> enter(Runtime& runtime, std::string directory) {
  const auto format = co_await read_whole(runtime.files(), directory + "/format");
  if (!format) {
    if (format.error().code != ErrorCode::kNotFound) co_return std::unexpected(format.error());
    co_return error(ErrorCode::kNotFound,
                    directory + " is no data directory of Stele: there is no file 'format'");
  }
  STELE_CO_CHECK(check_data_format(directory, *format));
  auto lock = co_await runtime.files().lock(directory + "/lock");
  if (!lock && lock.error().code == ErrorCode::kAlreadyExists) {
    co_return error(ErrorCode::kAlreadyExists,
                    "data directory " + directory + " is in use: stop the node first");
  }
  co_return lock;
}

Task<Result<void>> verify_journal(Runtime& runtime, std::string directory, VerifyOutcome& outcome) {
  STELE_CO_TRY(const storage::VerifyReport report, co_await storage::verify(runtime.files(), directory));
  for (const storage::VerifyFinding& finding : report.findings) {
    (finding.damage ? outcome.damage : outcome.remarks).push_back(directory + "/" + finding.to_string());
  }
  outcome.summary.push_back("journal: " + report.summary());
  co_return Result<void>();
}

// The metadata as the offloaded job found it.
struct MetaFindings {
  Result<void> result;
  std::vector<std::string> contradictions;
  std::vector<meta::Shard> shards;
  std::size_t topics = 0;
};

Result<void> look_at_meta(runtime::BlockingFiles& files, const std::string& path,
                          meta::StateMachine::Inputs inputs, MetaFindings& found) {
  STELE_TRY(const bool exists, files.exists(path));
  if (!exists) return error(ErrorCode::kNotFound, path + " is missing");
  STELE_TRY(const auto machine, meta::StateMachine::open(files, path, inputs));
  STELE_TRY(found.contradictions, machine->check(files, inputs));
  found.topics = machine->view()->topics().size();
  std::vector<ShardId> ids;
  for (std::uint32_t i = 0; i < machine->view()->cluster().shard_count; ++i) ids.push_back(ShardId(i));
  STELE_TRY(found.shards, machine->read_shards(files, ids, inputs));
  return {};
}

Task<std::vector<meta::Shard>> verify_meta(Runtime& runtime, std::string path, VerifyOutcome& outcome) {
  auto found = std::make_shared<MetaFindings>();
  const meta::StateMachine::Inputs inputs{runtime.wall_now(), runtime.random().next()};
  co_await runtime::run_blocking(runtime, [found, path, inputs](runtime::BlockingFiles& files) {
    found->result = look_at_meta(files, path, inputs, *found);
  });
  for (const std::string& line : found->contradictions) outcome.damage.push_back(path + ": " + line);
  if (!found->result) outcome.damage.push_back(found->result.error().with_context(path).message);
  outcome.summary.push_back("meta: " + std::to_string(found->topics) + " topics, " +
                            std::to_string(found->shards.size()) + " shards");
  co_return std::move(found->shards);
}

Task<void> verify_snapshots(Runtime& runtime, std::string directory, std::vector<meta::Shard> shards,
                            VerifyOutcome& outcome) {
  std::size_t count = 0, in_segments = 0;
  for (const meta::Shard& shard : shards) {
    if (!shard.snapshot) continue;
    if (journal::SnapshotSegment::parse(shard.snapshot->file)) {
      ++in_segments;  // of journals: what is here of them has been looked at with the rest
      continue;
    }
    ++count;
    const std::string path = directory + "/" + shard.snapshot->file;
    const auto bytes = co_await read_whole(runtime.files(), path);
    if (!bytes) {
      outcome.damage.push_back("shard " + std::to_string(shard.id.value) + ": " + bytes.error().message);
      continue;
    }
    const auto state = broker::ShardState::decode_snapshot(*bytes);
    if (!state) {
      outcome.damage.push_back(path + ": " + state.error().message);
    } else if (state->next() != shard.snapshot->lsn) {
      outcome.damage.push_back(path + ": is of another LSN than the metadata says");
    }
  }
  outcome.summary.push_back(
      "snapshots: " + std::to_string(count) +
      (in_segments > 0 ? ", and " + std::to_string(in_segments) + " in segments of journals" : ""));
}

}  // namespace

Task<Result<VerifyOutcome>> verify_directory(Runtime& runtime, std::string directory) {
  STELE_CO_TRY(const auto lock, co_await enter(runtime, directory));
  VerifyOutcome outcome;
  STELE_CO_CHECK(co_await verify_journal(runtime, directory + "/journal", outcome));
  auto shards = co_await verify_meta(runtime, directory + "/meta/meta.db", outcome);
  co_await verify_snapshots(runtime, directory + "/snapshots", std::move(shards), outcome);
  co_return outcome;
}

}  // namespace stele::server
