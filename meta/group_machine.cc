#include "meta/group_machine.h"

#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants_of_raft.h"
#include "meta/proposal.h"
#include "runtime/one_shot.h"
#include "storage/durable_directory.h"
#include "storage/sqlite_vfs.h"

namespace stele::meta {

using runtime::BlockingFiles;
using runtime::OpenMode;
using runtime::Task;

namespace {

constexpr std::string_view kCopyPrefix = "copy-";

// A file beside the database.
class Copy final : public raft::SnapshotCopy {
 public:
  Copy(runtime::Runtime& runtime, std::string path, std::unique_ptr<runtime::File> file, std::uint64_t bytes)
      : runtime_(runtime), path_(std::move(path)), file_(std::move(file)), bytes_(bytes) {}

  std::uint64_t bytes() const override { return bytes_; }
  Task<Result<Bytes>> read(std::uint64_t offset, std::size_t length) override {
    STELE_CO_TRY(Bytes data, co_await file_->read(Position(offset), length));
    if (data.size() < length) co_return error(ErrorCode::kCorrupt, path_ + ": the copy has become shorter");
    co_return data;
  }
  Task<void> close() override {
    [[maybe_unused]] const auto closed = co_await file_->close();
    [[maybe_unused]] const auto removed = co_await runtime_.files().remove(path_);
  }

 private:
  runtime::Runtime& runtime_;
  const std::string path_;
  std::unique_ptr<runtime::File> file_;
  const std::uint64_t bytes_;
};

// All pages of a database in which no transaction is under way; its size.
Result<std::uint64_t> copy_pages(BlockingFiles& files, const std::string& from, const std::string& to) {
  constexpr std::size_t kPage = storage::SqliteVfs::kPageSize, kPages = 64;
  STELE_TRY(auto source, files.open(from, OpenMode::kRead));
  STELE_TRY(auto target, files.open(to, OpenMode::kCreate));
  STELE_CHECK(target->truncate(0));
  STELE_TRY(const std::uint64_t size, source->size());
  std::string buffer(kPage * kPages, '\0');
  for (std::uint64_t at = 0; at < size;) {
    const std::size_t length = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size - at));
    STELE_TRY(const std::size_t got, source->read(Position(at), buffer.data(), length));
    if (got < length || length % kPage != 0) return error(ErrorCode::kCorrupt, from + ": ends within a page");
    for (std::size_t page = 0; page < length; page += kPage) {
      if (storage::SqliteVfs::is_whole(buffer.data() + page, at + page)) continue;
      STELE_MARK("meta: a damaged page is not copied");
      return error(ErrorCode::kCorrupt,
                   from + ": the page at byte " + std::to_string(at + page) + " fails its checksum");
    }
    STELE_CHECK(target->write(Position(at), std::string_view(buffer.data(), length)));
    at += length;
  }
  return size;
}

}  // namespace

Task<Result<std::unique_ptr<GroupMachine>>> GroupMachine::open(runtime::Runtime& runtime,
                                                               std::string directory) {
  runtime::Files& files = runtime.files();
  STELE_CO_CHECK(co_await storage::make_durable_directory(files, directory));
  STELE_CO_TRY(const auto names, co_await files.list(directory));
  for (const auto& entry : names) {
    if (!entry.directory && entry.name.starts_with(kCopyPrefix)) [[maybe_unused]]
      const auto removed = co_await files.remove(directory + "/" + entry.name);
  }
  struct Opening {
    Result<std::unique_ptr<meta::StateMachine>> machine;
  };
  auto opening = std::make_shared<Opening>();
  const std::string path = directory + "/meta.db";
  const meta::StateMachine::Inputs inputs{.now = runtime.wall_now(), .random_seed = runtime.random().next()};
  co_await runtime::run_blocking(runtime, [opening, path, inputs](BlockingFiles& blocking) {
    opening->machine = meta::StateMachine::open(blocking, path, inputs);
  });
  STELE_CO_TRY(auto machine, std::move(opening->machine));
  auto database = std::make_shared<Database>();
  database->path = path;
  database->machine = std::move(machine);
  co_return std::unique_ptr<GroupMachine>(
      new GroupMachine(runtime, std::move(directory), std::move(database)));
}

GroupMachine::GroupMachine(runtime::Runtime& runtime, std::string directory,
                           std::shared_ptr<Database> database)
    : runtime_(runtime),
      directory_(std::move(directory)),
      database_(std::move(database)),
      applied_(database_->machine->applied()),
      view_(database_->machine->view()),
      jobs_(runtime) {}

StateMachine::Inputs GroupMachine::inputs() {
  return {.now = runtime_.wall_now(), .random_seed = runtime_.random().next()};
}

Task<void> GroupMachine::run(runtime::BlockingWork job) {
  runtime::OneShot<bool> done;
  jobs_.run(std::move(job), [done] { done.set(true); });
  co_await done.wait();
}

void GroupMachine::take_over(std::uint64_t applied, std::shared_ptr<const MetaView> view) {
  if (view != view_) {
    view_ = std::move(view);
    const bool is_copy = applied > applied_ + 1 && mutant(mutants::kCopyNotTold);
    if (on_view_ && !is_copy) on_view_(view_);
  }
  applied_ = applied;
  changed_.wake_all();
}

Task<bool> GroupMachine::wait_for(std::uint64_t index) {
  while (applied_ < index && !stopped_) co_await changed_.wait();
  co_return applied_ >= index;
}

void GroupMachine::stop() {
  stopped_ = true;
  changed_.wake_all();
}

Task<void> GroupMachine::read(Reader reader) {
  co_await run([database = database_, reader = std::move(reader),
                in = inputs()](BlockingFiles& files) mutable { reader(*database->machine, files, in); });
}

Task<Result<std::vector<std::string>>> GroupMachine::apply(std::vector<raft::Entry> entries) {
  struct Batch {
    std::vector<Proposal> proposals;
    Result<std::vector<std::string>> answers;
    std::shared_ptr<const MetaView> view;
  };
  STELE_ASSERT(!entries.empty() && entries.front().index.value == applied_ + 1);
  auto batch = std::make_shared<Batch>();
  for (const raft::Entry& entry : entries) {
    Proposal& proposal = batch->proposals.emplace_back();
    if (entry.kind != raft::EntryKind::kCommand) continue;
    auto decoded = decode_proposal(entry.payload.view());
    if (!decoded) {
      co_return std::unexpected(std::move(decoded).error().with_context(
          "entry " + std::to_string(entry.index.value) + " of the meta log"));
    }
    proposal = *std::move(decoded);
  }
  co_await run([database = database_, batch, first = applied_ + 1, in = inputs()](BlockingFiles& files) {
    batch->answers = database->machine->apply(files, first, batch->proposals, in);
    batch->view = database->machine->view();
  });
  if (batch->answers) take_over(applied_ + batch->proposals.size(), batch->view);
  co_return std::move(batch->answers);
}

Task<Result<std::unique_ptr<raft::SnapshotCopy>>> GroupMachine::copy() {
  const std::string path = directory_ + "/" + std::string(kCopyPrefix) + std::to_string(++copies_);
  auto size = std::make_shared<Result<std::uint64_t>>();
  co_await run([database = database_, path, size](BlockingFiles& files) {
    *size = copy_pages(files, database->path, path);
    if (!*size) [[maybe_unused]]
      const auto removed = files.remove(path);
  });
  STELE_CO_CHECK(*size);
  STELE_CO_TRY(auto file, co_await runtime_.files().open(path, {}));
  co_return std::make_unique<Copy>(runtime_, path, std::move(file), **size);
}

// The old database has no transaction under way, and its journal is empty on the disk: nothing will ever be
// rolled back in the new one. It is let go only when the new one is open.
Task<Result<void>> GroupMachine::install(std::string file) {
  struct Change {
    Result<void> done;
    std::uint64_t applied = 0;
    std::shared_ptr<const MetaView> view;
  };
  auto change = std::make_shared<Change>();
  co_await run([database = database_, change, file = std::move(file), directory = directory_,
                in = inputs()](BlockingFiles& files) {
    const auto put = [&]() -> Result<void> {
      STELE_CHECK(files.rename(file, database->path));
      // Of a name that moves between directories both must be durable. Else the old database could come back
      // with the power, beside a journal of the new one, and be "rolled back" by that.
      STELE_CHECK(files.sync_directory(directory));
      STELE_CHECK(files.sync_directory(file.substr(0, file.rfind('/'))));
      STELE_TRY(database->machine, meta::StateMachine::open(files, database->path, in));
      return {};
    };
    change->done = put();
    change->applied = database->machine->applied();
    change->view = database->machine->view();
  });
  STELE_CO_CHECK(change->done);
  STELE_MARK("meta: a copy of the database installed");
  take_over(change->applied, change->view);
  co_return Result<void>();
}

}  // namespace stele::meta
