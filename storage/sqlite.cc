#include "storage/sqlite.h"

#include <sqlite3.h>

#include <utility>

#include "base/assert.h"

namespace stele::storage {
namespace {

ErrorCode code_of(int sqlite) {
  switch (sqlite & 0xff) {
    case SQLITE_FULL:
      return ErrorCode::kNoSpace;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::kCorrupt;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
      return ErrorCode::kIo;
    default:
      return ErrorCode::kInternal;
  }
}

}  // namespace

Result<std::unique_ptr<Database>> Database::open(SqliteVfs& vfs, const std::string& path) {
  std::unique_ptr<Database> database(new Database(vfs, path));
  const int code =
      sqlite3_open_v2(path.c_str(), &database->handle_,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, vfs.name());
  if (code != SQLITE_OK) database->fail(code, "opening");
  STELE_CHECK(database->configure());
  return database;
}

Result<void> Database::configure() {
  if (!failure_) {
    sqlite3_extended_result_codes(handle_, 1);
    int reserved = SqliteVfs::kReservedBytes;
    sqlite3_file_control(handle_, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
    run_script(
        "PRAGMA page_size = 4096;"
        "PRAGMA locking_mode = EXCLUSIVE;"
        "PRAGMA journal_mode = TRUNCATE;"
        "PRAGMA synchronous = EXTRA;"
        "PRAGMA temp_store = MEMORY;"
        "PRAGMA mmap_size = 0;"
        "PRAGMA cache_size = -8192;"
        "PRAGMA cell_size_check = ON;"
        "PRAGMA trusted_schema = OFF;"
        "PRAGMA foreign_keys = OFF;");
  }
  if (failure_) return std::unexpected(*failure_);
  return {};
}

Database::~Database() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  const int closed = sqlite3_close(handle_);
  STELE_ASSERT(closed == SQLITE_OK);
}

void Database::fail(int code, std::string_view doing) {
  STELE_ASSERT(!failure_);  // nothing is asked of the database behind one
  std::string what = path_ + ": " + std::string(doing) + ": " + sqlite3_errmsg(handle_);
  ErrorCode kind = code_of(code);
  if (auto cause = vfs_.take_error()) {
    what += ": " + cause->message;
    if (kind == ErrorCode::kIo) kind = cause->code;
  }
  failure_ = Error{kind, std::move(what)};
}

sqlite3_stmt* Database::prepare(std::string_view sql) {
  auto found = statements_.find(sql);
  if (found != statements_.end()) {
    STELE_ASSERT(!sqlite3_stmt_busy(found->second));
    return found->second;
  }
  if (failure_) return nullptr;
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) {
    fail(code, sql);
    return nullptr;
  }
  statements_.emplace(sql, statement);
  return statement;
}

bool Database::run_script(const std::string& sql) {
  if (failure_) return false;
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code, "setting up");
  return code == SQLITE_OK;
}

std::int64_t Database::changes() const {
  return sqlite3_changes64(handle_);
}

bool Database::begin() {
  return run("BEGIN IMMEDIATE");
}

bool Database::commit() {
  return run("COMMIT");
}

Result<void> Database::roll_back() {
  failure_.reset();
  // Some failures have rolled back by themselves.
  if (!sqlite3_get_autocommit(handle_)) run("ROLLBACK");
  if (failure_) return std::unexpected(*failure_);
  if (vfs_.poisoned()) return error(ErrorCode::kIo, path_ + ": a sync failed; restart the process");
  return {};
}

Database::Query::~Query() {
  if (!statement_) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

bool Database::Query::next() {
  if (!statement_ || database_.failure_) return false;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) database_.fail(code, sqlite3_sql(statement_));
  return false;
}

bool Database::Query::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

std::int64_t Database::Query::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string_view Database::Query::text(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  return {data ? data : "", static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

void Database::Query::bind(int index, std::int64_t value) {
  if (statement_) sqlite3_bind_int64(statement_, index, value);
}

void Database::Query::bind(int index, std::string_view value) {
  if (statement_) {
    sqlite3_bind_text64(statement_, index, value.data() ? value.data() : "", value.size(), SQLITE_TRANSIENT,
                        SQLITE_UTF8);
  }
}

void Database::Query::bind(int index, Blob value) {
  if (statement_) {
    sqlite3_bind_blob64(statement_, index, value.bytes.data() ? value.bytes.data() : "", value.bytes.size(),
                        SQLITE_TRANSIENT);
  }
}

void Database::Query::bind(int index, std::nullopt_t) {
  if (statement_) sqlite3_bind_null(statement_, index);
}

}  // namespace stele::storage
