#include "storage/sqlite_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/marks.h"
#include "base/wire.h"

namespace stele::storage {
namespace {

constexpr std::size_t kPage = SqliteVfs::kPageSize;
constexpr std::size_t kChecked = kPage - SqliteVfs::kReservedBytes;
constexpr std::int64_t kUnixEpochAsJulianMs = 210'866'760'000'000;

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// The checksum of a page covers its place too: a page written to the wrong one does not pass.
std::uint32_t page_checksum(const char* page, std::int64_t position) {
  std::array<char, 8> place;
  store_le(place.data(), position);
  return crc32c({page, kChecked}, crc32c({place.data(), place.size()}));
}

bool all_zero(const char* data, std::size_t size) {
  return std::all_of(data, data + size, [](char c) { return c == 0; });
}

struct OpenFile {
  SqliteVfs* vfs;
  std::unique_ptr<runtime::BlockingFile> file;
  std::string path;
  bool checked = false;         // a database: its pages bear checksums
  bool sync_directory = false;  // the entry in the directory may not be durable yet
  bool delete_on_close = false;
};

// What SQLite allocates for us.
struct Handle {
  sqlite3_file base;
  OpenFile* open;
};

OpenFile& open_file(sqlite3_file* file) {
  return *reinterpret_cast<Handle*>(file)->open;
}

}  // namespace

struct SqliteVfs::Registration {
  sqlite3_vfs vfs{};
};

// The functions that SQLite calls; none throws, none outlives the call.
struct SqliteVfsCalls {
  static SqliteVfs& self(sqlite3_vfs* vfs) { return *static_cast<SqliteVfs*>(vfs->pAppData); }

  static int failed(SqliteVfs& vfs, Error error, int code) {
    if (error.code == ErrorCode::kNoSpace) {
      STELE_MARK("sqlite: disk full");
      code = SQLITE_FULL;
    }
    vfs.error_ = std::move(error);
    return code;
  }
  // Whether a call may go through to the disk.
  static bool reachable(SqliteVfs& vfs, const std::string& path) {
    if (vfs.files_ && !vfs.poisoned_) return true;
    vfs.error_ = Error{ErrorCode::kIo, path + (vfs.poisoned_ ? ": an earlier sync failed; restart the process"
                                                             : ": used outside of a job")};
    return false;
  }

  // ---- files ----

  static int close(sqlite3_file* file) {
    OpenFile* open = std::exchange(reinterpret_cast<Handle*>(file)->open, nullptr);
    SqliteVfs& vfs = *open->vfs;
    const bool remove = open->delete_on_close && vfs.files_;
    const std::string path = open->path;
    delete open;
    if (remove) (void)vfs.files_->remove(path);
    return SQLITE_OK;
  }

  static int read(sqlite3_file* file, void* to, int amount, sqlite3_int64 position) {
    OpenFile& open = open_file(file);
    if (!reachable(*open.vfs, open.path)) return SQLITE_IOERR_READ;
    char* out = static_cast<char*>(to);
    const std::size_t wanted = static_cast<std::size_t>(amount);
    auto got = open.file->read(Position(static_cast<std::uint64_t>(position)), out, wanted);
    if (!got) return failed(*open.vfs, std::move(got).error(), SQLITE_IOERR_READ);
    if (*got < wanted) {
      std::memset(out + *got, 0, wanted - *got);
      return SQLITE_IOERR_SHORT_READ;
    }
    // SQLite reads whole pages of a database, but for the first hundred bytes and the change counter.
    if (!open.checked || wanted != kPage || position % amount != 0) return SQLITE_OK;
    if (SqliteVfs::is_whole(out, static_cast<std::uint64_t>(position))) return SQLITE_OK;
    STELE_MARK("sqlite: page with a wrong checksum");
    open.vfs->error_ =
        Error{ErrorCode::kCorrupt, open.path + ": the page at byte " + std::to_string(position) +
                                       " fails its checksum; restore the file from a copy"};
    return SQLITE_IOERR_DATA;
  }

  static int write(sqlite3_file* file, const void* from, int amount, sqlite3_int64 position) {
    OpenFile& open = open_file(file);
    if (!reachable(*open.vfs, open.path)) return SQLITE_IOERR_WRITE;
    std::string_view data(static_cast<const char*>(from), static_cast<std::size_t>(amount));
    std::array<char, kPage> page;
    if (open.checked && data.size() == kPage && position % amount == 0) {
      std::memcpy(page.data(), data.data(), kChecked);
      store_le(page.data() + kChecked, page_checksum(page.data(), position));
      store_le(page.data() + kChecked + 4, std::uint32_t(0));
      data = {page.data(), kPage};
    }
    auto done = open.file->write(Position(static_cast<std::uint64_t>(position)), data);
    if (!done) return failed(*open.vfs, std::move(done).error(), SQLITE_IOERR_WRITE);
    return SQLITE_OK;
  }

  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    OpenFile& open = open_file(file);
    if (!reachable(*open.vfs, open.path)) return SQLITE_IOERR_TRUNCATE;
    auto done = open.file->truncate(static_cast<std::uint64_t>(size));
    if (!done) return failed(*open.vfs, std::move(done).error(), SQLITE_IOERR_TRUNCATE);
    return SQLITE_OK;
  }

  static int sync(sqlite3_file* file, int) {
    OpenFile& open = open_file(file);
    SqliteVfs& vfs = *open.vfs;
    if (!reachable(vfs, open.path)) return SQLITE_IOERR_FSYNC;
    auto done = open.file->sync();
    if (done && open.sync_directory) {
      done = vfs.files_->sync_directory(parent_of(open.path));
      if (done) open.sync_directory = false;
    }
    if (done) return SQLITE_OK;
    STELE_MARK("sqlite: a sync failed");
    vfs.poisoned_ = true;
    return failed(vfs, std::move(done).error(), SQLITE_IOERR_FSYNC);
  }

  static int file_size(sqlite3_file* file, sqlite3_int64* size) {
    OpenFile& open = open_file(file);
    if (!reachable(*open.vfs, open.path)) return SQLITE_IOERR_FSTAT;
    auto is = open.file->size();
    if (!is) return failed(*open.vfs, std::move(is).error(), SQLITE_IOERR_FSTAT);
    *size = static_cast<sqlite3_int64>(*is);
    return SQLITE_OK;
  }

  static int lock(sqlite3_file*, int) { return SQLITE_OK; }
  static int check_reserved_lock(sqlite3_file*, int* reserved) {
    *reserved = 0;
    return SQLITE_OK;
  }
  static int file_control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
  static int sector_size(sqlite3_file*) { return SqliteVfs::kPageSize; }
  static int device_characteristics(sqlite3_file*) { return 0; }

  // ---- the file system ----

  static runtime::OpenMode mode_of(int flags) {
    if (flags & SQLITE_OPEN_READONLY) return runtime::OpenMode::kRead;
    if (!(flags & SQLITE_OPEN_CREATE)) return runtime::OpenMode::kReadWrite;
    return flags & SQLITE_OPEN_EXCLUSIVE ? runtime::OpenMode::kCreateNew : runtime::OpenMode::kCreate;
  }

  static int open(sqlite3_vfs* base, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    SqliteVfs& vfs = self(base);
    file->pMethods = nullptr;
    if (!name) {
      vfs.error_ = Error{ErrorCode::kUnsupported, "SQLite asked for a temporary file"};
      return SQLITE_CANTOPEN;
    }
    std::string path = name;
    if (!reachable(vfs, path)) return SQLITE_CANTOPEN;
    auto opened = vfs.files_->open(path, mode_of(flags));
    if (!opened) return failed(vfs, std::move(opened).error(), SQLITE_CANTOPEN);
    reinterpret_cast<Handle*>(file)->open = new OpenFile{
        .vfs = &vfs,
        .file = *std::move(opened),
        .path = std::move(path),
        .checked = (flags & SQLITE_OPEN_MAIN_DB) != 0,
        .sync_directory = (flags & SQLITE_OPEN_CREATE) != 0,
        .delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0,
    };
    file->pMethods = &kFileMethods;
    if (out_flags) *out_flags = flags;
    return SQLITE_OK;
  }

  static int remove(sqlite3_vfs* base, const char* name, int sync_directory) {
    SqliteVfs& vfs = self(base);
    const std::string path = name;
    if (!reachable(vfs, path)) return SQLITE_IOERR_DELETE;
    auto done = vfs.files_->remove(path);
    if (!done && done.error().code == ErrorCode::kNotFound) return SQLITE_IOERR_DELETE_NOENT;
    if (!done) return failed(vfs, std::move(done).error(), SQLITE_IOERR_DELETE);
    if (!sync_directory) return SQLITE_OK;
    done = vfs.files_->sync_directory(parent_of(path));
    if (!done) return failed(vfs, std::move(done).error(), SQLITE_IOERR_DIR_FSYNC);
    return SQLITE_OK;
  }

  static int access(sqlite3_vfs* base, const char* name, int, int* out) {
    SqliteVfs& vfs = self(base);
    const std::string path = name;
    *out = 0;
    if (!reachable(vfs, path)) return SQLITE_IOERR_ACCESS;
    auto there = vfs.files_->exists(path);
    if (!there) return failed(vfs, std::move(there).error(), SQLITE_IOERR_ACCESS);
    *out = *there ? 1 : 0;
    return SQLITE_OK;
  }

  static int full_pathname(sqlite3_vfs*, const char* name, int room, char* out) {
    const std::size_t size = std::strlen(name) + 1;
    if (size > static_cast<std::size_t>(room)) return SQLITE_CANTOPEN;
    std::memcpy(out, name, size);
    return SQLITE_OK;
  }

  static int randomness(sqlite3_vfs* base, int size, char* out) {
    SqliteVfs& vfs = self(base);
    if (!vfs.random_) return 0;
    for (int i = 0; i < size; ++i) out[i] = static_cast<char>(vfs.random_->next());
    return size;
  }
  // Nothing ever waits for a lock here, so nothing sleeps.
  static int sleep(sqlite3_vfs*, int microseconds) { return microseconds; }
  static int current_time_ms(sqlite3_vfs* base, sqlite3_int64* out) {
    *out = self(base).inputs_.now.ms + kUnixEpochAsJulianMs;
    return SQLITE_OK;
  }
  static int current_time(sqlite3_vfs* base, double* out) {
    sqlite3_int64 ms = 0;
    current_time_ms(base, &ms);
    *out = static_cast<double>(ms) / 86'400'000.0;
    return SQLITE_OK;
  }

  static const sqlite3_io_methods kFileMethods;
};

const sqlite3_io_methods SqliteVfsCalls::kFileMethods = {
    .iVersion = 1,
    .xClose = close,
    .xRead = read,
    .xWrite = write,
    .xTruncate = truncate,
    .xSync = sync,
    .xFileSize = file_size,
    .xLock = lock,
    .xUnlock = lock,
    .xCheckReservedLock = check_reserved_lock,
    .xFileControl = file_control,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = device_characteristics,
    .xShmMap = nullptr,
    .xShmLock = nullptr,
    .xShmBarrier = nullptr,
    .xShmUnmap = nullptr,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

SqliteVfs::SqliteVfs()
    : registration_(std::make_unique<Registration>()),
      // Only has to differ from those of other instances that live now.
      name_("stele-" + std::to_string(reinterpret_cast<std::uintptr_t>(this))) {
  sqlite3_vfs& vfs = registration_->vfs;
  vfs.iVersion = 2;
  vfs.szOsFile = sizeof(Handle);
  vfs.mxPathname = 4096;
  vfs.zName = name_.c_str();
  vfs.pAppData = this;
  vfs.xOpen = SqliteVfsCalls::open;
  vfs.xDelete = SqliteVfsCalls::remove;
  vfs.xAccess = SqliteVfsCalls::access;
  vfs.xFullPathname = SqliteVfsCalls::full_pathname;
  vfs.xRandomness = SqliteVfsCalls::randomness;
  vfs.xSleep = SqliteVfsCalls::sleep;
  vfs.xCurrentTime = SqliteVfsCalls::current_time;
  vfs.xCurrentTimeInt64 = SqliteVfsCalls::current_time_ms;
  const int registered = sqlite3_vfs_register(&vfs, 0);
  STELE_ASSERT(registered == SQLITE_OK);
}

SqliteVfs::~SqliteVfs() {
  sqlite3_vfs_unregister(&registration_->vfs);
}

SqliteVfs::Job::Job(SqliteVfs& vfs, runtime::BlockingFiles& files, Inputs inputs) : vfs_(vfs) {
  STELE_ASSERT(!vfs.files_);
  vfs.files_ = &files;
  vfs.inputs_ = inputs;
  vfs.random_.emplace(inputs.random_seed);
  // The generator behind SQLite's journal nonces is one for the whole OS process and would be seeded by the
  // system: give it a seed for this job, so that what a simulated process writes depends on its own seed
  // alone.
  sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, static_cast<int>(vfs.random_->next() | 1), nullptr);
}

SqliteVfs::Job::~Job() {
  vfs_.files_ = nullptr;
}

std::optional<Error> SqliteVfs::take_error() {
  return std::exchange(error_, std::nullopt);
}

bool SqliteVfs::is_whole(const char* page, std::uint64_t position) {
  if (load_le<std::uint32_t>(page + kChecked) == page_checksum(page, static_cast<std::int64_t>(position)))
    return true;
  return all_zero(page, kPage);  // a free page that was never written
}

}  // namespace stele::storage
