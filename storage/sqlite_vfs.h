// SQLite's view of the outside: a VFS over runtime::BlockingFiles.
//
// SQLite does blocking I/O, so it only works inside a job of Runtime::offload. A Job object lends the VFS the
// files of one such job and the only time and randomness SQLite gets to see. Outside a job every file call
// fails without reaching the disk: closing a database then frees its memory and does no I/O, as it must be
// when a simulated process crashes.
//
// One instance for one database; the name under which SQLite knows it is its own, so that any number of
// simulated processes can live in one OS process. One thread at a time. No shared memory and no memory map:
// use locking_mode=EXCLUSIVE with a rollback journal (storage/sqlite.h does). Locks are not taken: the owner
// holds the directory's lock (Files::lock).
//
// Databases are checked: pages have 4096 bytes and the last 8 of each are a CRC-32C of the page and its place
// in the file (docs/formats/meta-database.md), so that damage and misdirected writes are found on reading.
// A failed sync poisons the VFS: nothing can be written through it any more, and the database has to be
// opened anew, by another process, which rolls back what was under way.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/ids.h"
#include "runtime/files.h"
#include "runtime/random.h"

namespace stele::storage {

class SqliteVfs {
 public:
  static constexpr int kPageSize = 4096;
  static constexpr int kReservedBytes = 8;

  SqliteVfs();
  SqliteVfs(const SqliteVfs&) = delete;
  SqliteVfs& operator=(const SqliteVfs&) = delete;
  ~SqliteVfs();  // its databases are closed before

  // The name for sqlite3_open_v2.
  const char* name() const { return name_.c_str(); }

  // What one job hands in.
  struct Inputs {
    WallTime now;
    std::uint64_t random_seed = 0;
  };
  class Job {
   public:
    Job(SqliteVfs& vfs, runtime::BlockingFiles& files, Inputs inputs);
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;
    ~Job();

   private:
    SqliteVfs& vfs_;
  };

  // The last failure of a file since take_error was called last: SQLite only passes a number on.
  std::optional<Error> take_error();
  bool poisoned() const { return poisoned_; }

  // Whether the page of a database that was read from that position of its file bears the right checksum.
  // kPageSize bytes.
  static bool is_whole(const char* page, std::uint64_t position);

 private:
  friend struct SqliteVfsCalls;
  struct Registration;

  std::unique_ptr<Registration> registration_;
  std::string name_;
  runtime::BlockingFiles* files_ = nullptr;  // only during a job
  Inputs inputs_;
  std::optional<runtime::Random> random_;
  std::optional<Error> error_;
  bool poisoned_ = false;
};

}  // namespace stele::storage
