// Files, as a core sees them. Paths are UTF-8, absolute or relative to the process's working directory.
//
// Every call is asynchronous, owns its buffers until it completed, and is never cancelled. Errors: kNotFound,
// kAlreadyExists, kNoSpace, kUnauthorized (permissions), kIo; the message names the path.
// After a failed sync the unsynced content of a file is unknown: nothing of it may be taken as stored
// (Rebello et al., ATC 2020, "Can applications recover from fsync failures?").
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/ids.h"
#include "runtime/task.h"

namespace stele::runtime {

enum class OpenMode {
  kRead,       // must exist
  kReadWrite,  // must exist
  kCreate,     // read and write; made if missing
  kCreateNew,  // read and write; kAlreadyExists if it is there
};

struct OpenOptions {
  OpenMode mode = OpenMode::kRead;
  // Jobs of this file run on a thread of its own, not behind others on the pool: for write-ahead logs.
  bool own_thread = false;
};

// An open file. Closed by close(), or by its destructor once no call is under way. Used on the core that
// opened it. Calls may overlap; overlapping writes to one range have no order.
class File {
 public:
  virtual ~File() = default;

  virtual Task<Result<std::uint64_t>> size() = 0;
  // Bytes [position, position+length), fewer at the end of the file.
  virtual Task<Result<Bytes>> read(Position position, std::size_t length) = 0;
  // Writes the slices one after the other, all of them or an error.
  virtual Task<Result<void>> write(Position position, std::vector<Bytes> slices) = 0;
  // Content and size reach the disk (fdatasync).
  virtual Task<Result<void>> sync() = 0;
  // write() and sync() as one job.
  virtual Task<Result<void>> write_and_sync(Position position, std::vector<Bytes> slices) = 0;
  virtual Task<Result<void>> truncate(std::uint64_t size) = 0;
  // Every call after it gives kClosed.
  virtual Task<Result<void>> close() = 0;
};

struct DirectoryEntry {
  std::string name;
  bool directory = false;
};

class Files {
 public:
  virtual ~Files() = default;

  virtual Task<Result<std::unique_ptr<File>>> open(std::string path, OpenOptions options) = 0;
  // Sorted by name, without "." and "..".
  virtual Task<Result<std::vector<DirectoryEntry>>> list(std::string directory) = 0;
  // Makes missing parents too; fine if it exists, kAlreadyExists if something else has the name.
  virtual Task<Result<void>> make_directory(std::string path) = 0;
  // Replaces `to`. Durable only after sync_directory of both parents.
  virtual Task<Result<void>> rename(std::string from, std::string to) = 0;
  // A file (readable on by who has it open) or an empty directory.
  virtual Task<Result<void>> remove(std::string path) = 0;
  virtual Task<Result<void>> sync_directory(std::string path) = 0;
  // Holds `path` (made if missing) for this process until the lock is destroyed. kAlreadyExists if another
  // has it.
  class Lock {
   public:
    virtual ~Lock() = default;
  };
  virtual Task<Result<std::unique_ptr<Lock>>> lock(std::string path) = 0;
};

// The same, blocking: only inside Runtime::offload, for libraries that bring their own I/O layer (SQLite).
class BlockingFile {
 public:
  virtual ~BlockingFile() = default;
  virtual Result<std::uint64_t> size() = 0;
  // Fills `to` from `position`; gives how much there was.
  virtual Result<std::size_t> read(Position position, char* to, std::size_t length) = 0;
  virtual Result<void> write(Position position, std::string_view from) = 0;
  virtual Result<void> sync() = 0;
  virtual Result<void> truncate(std::uint64_t size) = 0;
};

class BlockingFiles {
 public:
  virtual ~BlockingFiles() = default;
  virtual Result<std::unique_ptr<BlockingFile>> open(const std::string& path, OpenMode mode) = 0;
  virtual Result<bool> exists(const std::string& path) = 0;
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
  virtual Result<void> remove(const std::string& path) = 0;
  virtual Result<void> sync_directory(const std::string& path) = 0;
};

}  // namespace stele::runtime
