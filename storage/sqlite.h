// An SQLite database on a SqliteVfs, with errors as values.
//
// Failures are kept: once a statement failed, every later one does nothing, and failure() tells what
// happened. A transaction is written straight down, and looked at once, before its commit. Used only within a
// job of the VFS, by one thread at a time; destroying it outside of a job does no I/O.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "storage/sqlite_vfs.h"

struct sqlite3;
struct sqlite3_stmt;

namespace stele::storage {

struct Blob {
  std::string_view bytes;
};

class Database {
 public:
  // Opens the file or makes it. Syncs everything before a commit is done: EXTRA, a rollback journal that is
  // truncated, exclusive lock, temporary data in memory.
  static Result<std::unique_ptr<Database>> open(SqliteVfs& vfs, const std::string& path);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  // The rows of one statement, until it is destroyed. One at a time for the same statement.
  class Query {
   public:
    Query(Query&& other) noexcept
        : database_(other.database_), statement_(std::exchange(other.statement_, nullptr)) {}
    Query& operator=(Query&&) = delete;
    ~Query();
    // Moves to the first or next row. False at the end, or after a failure.
    bool next();
    // Columns of the present row, from 0. Views are valid until next().
    bool is_null(int column) const;
    std::int64_t integer(int column) const;
    std::uint64_t unsigned_integer(int column) const { return static_cast<std::uint64_t>(integer(column)); }
    std::string_view text(int column) const;

   private:
    friend class Database;
    Query(Database& database, sqlite3_stmt* statement) : database_(database), statement_(statement) {}
    void bind(int index, std::int64_t value);
    void bind(int index, std::string_view value);
    void bind(int index, Blob value);
    void bind(int index, std::nullopt_t);
    template <std::integral T>
    void bind(int index, T value) {
      bind(index, static_cast<std::int64_t>(value));
    }
    template <class T>
    void bind(int index, const std::optional<T>& value) {
      value ? bind(index, *value) : bind(index, std::nullopt);
    }
    Database& database_;
    sqlite3_stmt* statement_;
  };

  // Statements are prepared once and kept: `sql` is one of a fixed set of texts.
  template <class... Arguments>
  Query query(std::string_view sql, const Arguments&... arguments) {
    Query query(*this, prepare(sql));
    int index = 0;
    (query.bind(++index, arguments), ...);
    return query;
  }
  // For statements without rows. False after a failure.
  template <class... Arguments>
  bool run(std::string_view sql, const Arguments&... arguments) {
    Query query = this->query(sql, arguments...);
    query.next();
    return !failure_;
  }
  // Several statements, not kept.
  bool run_script(const std::string& sql);
  // Rows changed by the last statement.
  std::int64_t changes() const;

  bool begin();
  bool commit();
  // Also clears failure(). An error if the database cannot be used any more.
  Result<void> roll_back();

  const std::optional<Error>& failure() const { return failure_; }

 private:
  Database(SqliteVfs& vfs, std::string path) : vfs_(vfs), path_(std::move(path)) {}
  Result<void> configure();
  sqlite3_stmt* prepare(std::string_view sql);
  void fail(int code, std::string_view doing);

  SqliteVfs& vfs_;
  std::string path_;
  sqlite3* handle_ = nullptr;
  std::map<std::string, sqlite3_stmt*, std::less<>> statements_;
  std::optional<Error> failure_;
};

}  // namespace stele::storage
