#include "sim/files.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/assert.h"
#include "sim/file_operation.h"
#include "sim/host.h"
#include "sim/process.h"

namespace stele::sim {

using runtime::OpenMode;
using runtime::Task;

namespace {

// Puts the file's name in front of what the disk says.
template <class T>
Result<T> named(Result<T> result, std::string_view doing, const std::string& path) {
  if (result) return result;
  return std::unexpected(result.error().with_context(std::string(doing) + " " + path));
}

const DiskConfig& timing(Core& core) {
  return core.world().config().disk;
}
FileCall reading(Core& core) {
  return {.usual = timing(core).read};
}
FileCall writing(Core& core) {
  return {.usual = timing(core).write};
}
FileCall syncing(Core& core) {
  return {.usual = timing(core).sync, .syncs = true};
}
FileCall changing(Core& core) {
  return {.usual = timing(core).metadata};
}

std::vector<std::string_view> views(const std::vector<Bytes>& slices) {
  return {slices.begin(), slices.end()};
}

class OpenFile final : public runtime::File {
 public:
  OpenFile(Core& core, Disk::File inode, std::string path, bool writable)
      : core_(core), inode_(std::move(inode)), path_(std::move(path)), writable_(writable) {}

  Task<Result<std::uint64_t>> size() override {
    STELE_CO_CHECK(check("reading the size of"));
    Result<std::uint64_t> size = co_await FileOperation(
        core_, reading(core_), [disk = &disk(), inode = inode_](int) { return disk->tell_size(inode); });
    co_return named(std::move(size), "reading", path_);
  }

  Task<Result<Bytes>> read(Position position, std::size_t length) override {
    STELE_CO_CHECK(check("reading"));
    Result<Bytes> read = co_await FileOperation(
        core_, reading(core_), [disk = &disk(), inode = inode_, position, length](int) -> Result<Bytes> {
          const std::uint64_t size = disk->size(inode);
          if (length == 0 || position.value >= size) return Bytes();
          Buffer buffer(std::min<std::uint64_t>(length, size - position.value));
          STELE_TRY(const std::size_t got, disk->read(inode, position, buffer.data(), buffer.capacity()));
          return std::move(buffer).freeze(got);
        });
    co_return named(std::move(read), "reading", path_);
  }

  Task<Result<void>> write(Position position, std::vector<Bytes> slices) override {
    STELE_CO_CHECK(check_writable());
    Result<void> written = co_await FileOperation(
        core_, writing(core_), [disk = &disk(), inode = inode_, position, slices = std::move(slices)](int) {
          return disk->write(inode, position, views(slices));
        });
    co_return named(std::move(written), "writing", path_);
  }

  Task<Result<void>> sync() override {
    STELE_CO_CHECK(check("syncing"));
    Result<void> synced = co_await FileOperation(
        core_, syncing(core_), [disk = &disk(), inode = inode_](int) { return disk->sync(inode); });
    co_return named(std::move(synced), "syncing", path_);
  }

  Task<Result<void>> write_and_sync(Position position, std::vector<Bytes> slices) override {
    STELE_CO_CHECK(check_writable());
    FileCall call = syncing(core_);
    call.stages = 2;
    Result<void> done = co_await FileOperation(
        core_, call, [disk = &disk(), inode = inode_, position, slices = std::move(slices)](int stage) {
          return stage == 0 ? disk->write(inode, position, views(slices)) : disk->sync(inode);
        });
    co_return named(std::move(done), "writing and syncing", path_);
  }

  Task<Result<void>> truncate(std::uint64_t size) override {
    STELE_CO_CHECK(check_writable());
    Result<void> done = co_await FileOperation(
        core_, changing(core_),
        [disk = &disk(), inode = inode_, size](int) { return disk->truncate(inode, size); });
    co_return named(std::move(done), "truncating", path_);
  }

  Task<Result<void>> close() override {
    STELE_CO_CHECK(check("closing"));
    inode_.reset();
    co_return Result<void>();
  }

 private:
  Disk& disk() { return core_.host().disk(); }
  Result<void> check(std::string_view doing) const {
    if (inode_) return {};
    return error(ErrorCode::kClosed, std::string(doing) + " " + path_ + ": the file is closed");
  }
  Result<void> check_writable() const {
    STELE_CHECK(check("writing"));
    if (writable_) return {};
    return error(ErrorCode::kInvalidArgument, "writing " + path_ + ": it is open for reading");
  }

  Core& core_;
  Disk::File inode_;
  const std::string path_;
  const bool writable_;
};

class HeldLock final : public runtime::Files::Lock {
 public:
  HeldLock(Core& core, std::string path) : core_(core), path_(std::move(path)) {}
  ~HeldLock() override {
    if (core_.alive()) core_.host().disk().unlock(path_);
  }

 private:
  Core& core_;
  const std::string path_;
};

// One blocking call: `apply` runs unless the process is dead or dies just before.
template <class Apply>
auto block(Core& core, const FileCall& call, Apply apply) -> std::invoke_result_t<Apply&> {
  const auto dead = [] { return error(ErrorCode::kIo, "the process has crashed"); };
  if (!core.alive()) return dead();
  STELE_ASSERT(core.process().in_job());
  Host& host = core.host();
  core.process().job_takes(host.file_operation_takes(call.usual, call.syncs));
  const Host::OperationFate fate = host.next_file_operation(call.syncs);
  if (fate == Host::OperationFate::kCrashBefore) {
    host.planned_crash();
    return dead();
  }
  auto result = apply();
  if (fate == Host::OperationFate::kCrashAfter) {
    host.planned_crash();
    return dead();
  }
  return result;
}

class OpenBlockingFile final : public runtime::BlockingFile {
 public:
  OpenBlockingFile(Core& core, Disk::File inode, std::string path, bool writable)
      : core_(core), inode_(std::move(inode)), path_(std::move(path)), writable_(writable) {}

  Result<std::uint64_t> size() override {
    return block(core_, reading(core_), [&] { return named(disk().tell_size(inode_), "reading", path_); });
  }
  Result<std::size_t> read(Position position, char* to, std::size_t length) override {
    return block(core_, reading(core_),
                 [&] { return named(disk().read(inode_, position, to, length), "reading", path_); });
  }
  Result<void> write(Position position, std::string_view from) override {
    if (!writable_)
      return error(ErrorCode::kInvalidArgument, "writing " + path_ + ": it is open for reading");
    return block(core_, writing(core_), [&] {
      return named(disk().write(inode_, position, std::span(&from, 1)), "writing", path_);
    });
  }
  Result<void> sync() override {
    return block(core_, syncing(core_), [&] { return named(disk().sync(inode_), "syncing", path_); });
  }
  Result<void> truncate(std::uint64_t size) override {
    if (!writable_)
      return error(ErrorCode::kInvalidArgument, "cutting " + path_ + ": it is open for reading");
    return block(core_, changing(core_),
                 [&] { return named(disk().truncate(inode_, size), "truncating", path_); });
  }

 private:
  Disk& disk() { return core_.host().disk(); }

  Core& core_;
  Disk::File inode_;
  const std::string path_;
  const bool writable_;
};

}  // namespace

Task<Result<std::unique_ptr<runtime::File>>> FilesOfCore::open(std::string path,
                                                               runtime::OpenOptions options) {
  const auto open = [disk = &core_.host().disk(), path, mode = options.mode](int) {
    return disk->open(path, mode);
  };
  STELE_CO_TRY(Disk::File inode, co_await FileOperation(core_, changing(core_), open));
  co_return std::make_unique<OpenFile>(core_, std::move(inode), std::move(path),
                                       options.mode != OpenMode::kRead);
}

Task<Result<std::vector<runtime::DirectoryEntry>>> FilesOfCore::list(std::string directory) {
  co_return co_await FileOperation(core_, changing(core_), [disk = &core_.host().disk(), directory](int) {
    return disk->list(directory);
  });
}

Task<Result<void>> FilesOfCore::make_directory(std::string path) {
  co_return co_await FileOperation(core_, changing(core_), [disk = &core_.host().disk(), path](int) {
    return disk->make_directory(path);
  });
}

Task<Result<void>> FilesOfCore::rename(std::string from, std::string to) {
  co_return co_await FileOperation(core_, changing(core_), [disk = &core_.host().disk(), from, to](int) {
    return disk->rename(from, to);
  });
}

Task<Result<void>> FilesOfCore::remove(std::string path) {
  co_return co_await FileOperation(core_, changing(core_),
                                   [disk = &core_.host().disk(), path](int) { return disk->remove(path); });
}

Task<Result<void>> FilesOfCore::sync_directory(std::string path) {
  co_return co_await FileOperation(
      core_, syncing(core_), [disk = &core_.host().disk(), path](int) { return disk->sync_directory(path); });
}

Task<Result<std::unique_ptr<runtime::Files::Lock>>> FilesOfCore::lock(std::string path) {
  co_return co_await FileOperation(
      core_, changing(core_), [core = &core_, path](int) -> Result<std::unique_ptr<Lock>> {
        STELE_TRY(const bool held, core->host().disk().lock(path));
        if (held) return std::make_unique<HeldLock>(*core, path);
        return error(ErrorCode::kAlreadyExists, "locking " + path + ": somebody else holds it");
      });
}

Result<std::unique_ptr<runtime::BlockingFile>> BlockingFilesOfCore::open(const std::string& path,
                                                                         OpenMode mode) {
  STELE_TRY(Disk::File inode,
            block(core_, changing(core_), [&] { return core_.host().disk().open(path, mode); }));
  return std::make_unique<OpenBlockingFile>(core_, std::move(inode), path, mode != OpenMode::kRead);
}

Result<bool> BlockingFilesOfCore::exists(const std::string& path) {
  return block(core_, changing(core_), [&] { return core_.host().disk().exists(path); });
}

Result<void> BlockingFilesOfCore::rename(const std::string& from, const std::string& to) {
  return block(core_, changing(core_), [&] { return core_.host().disk().rename(from, to); });
}

Result<void> BlockingFilesOfCore::remove(const std::string& path) {
  return block(core_, changing(core_), [&] { return core_.host().disk().remove(path); });
}

Result<void> BlockingFilesOfCore::sync_directory(const std::string& path) {
  return block(core_, syncing(core_), [&] { return core_.host().disk().sync_directory(path); });
}

}  // namespace stele::sim
