#include "runtime/uv/system_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/assert.h"
#include "runtime/uv/system_error.h"

namespace stele::runtime::uv {
namespace {

constexpr mode_t kFileMode = 0640;
constexpr mode_t kDirectoryMode = 0750;
// A read that asks for more than this looks at the size first, so as not to allocate for what is not there.
constexpr std::size_t kLargeRead = 64 << 10;

std::unexpected<Error> failed_at(std::string_view doing, const std::string& path) {
  const int number = errno;
  return std::unexpected(system_error(number, std::string(doing) + " " + path));
}

// Calls again when a signal interrupted.
template <class Call>
auto restarting(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

int flags_of(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead:
      return O_RDONLY | O_CLOEXEC;
    case OpenMode::kReadWrite:
      return O_RDWR | O_CLOEXEC;
    case OpenMode::kCreate:
      return O_RDWR | O_CLOEXEC | O_CREAT;
    case OpenMode::kCreateNew:
      return O_RDWR | O_CLOEXEC | O_CREAT | O_EXCL;
  }
  STELE_ASSERT(false);
  std::unreachable();
}

Result<Descriptor> open_descriptor(const std::string& path, OpenMode mode) {
  Descriptor descriptor(restarting([&] { return ::open(path.c_str(), flags_of(mode), kFileMode); }));
  struct stat status{};
  // The system opens directories for reading.
  if (descriptor.number() >= 0 && mode == OpenMode::kRead && ::fstat(descriptor.number(), &status) == 0 &&
      S_ISDIR(status.st_mode)) {
    errno = EISDIR;
    return failed_at("opening", path);
  }
  if (descriptor.number() < 0) return failed_at("opening", path);
  return descriptor;
}

bool is_directory(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

std::unexpected<Error> SystemFile::failed(std::string_view doing) const {
  return failed_at(doing, path_);
}

Result<std::uint64_t> SystemFile::size() {
  struct stat status{};
  if (::fstat(descriptor_.number(), &status) != 0) return failed("reading the size of");
  return static_cast<std::uint64_t>(status.st_size);
}

Result<std::size_t> SystemFile::read(Position position, char* to, std::size_t length) {
  std::size_t done = 0;
  while (done < length) {
    const ssize_t got = restarting([&] {
      return ::pread(descriptor_.number(), to + done, length - done,
                     static_cast<off_t>(position.value + done));
    });
    if (got < 0) return failed("reading");
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

Result<Bytes> SystemFile::read(Position position, std::size_t length) {
  if (length > kLargeRead) {
    STELE_TRY(const std::uint64_t end, size());
    length = std::min<std::uint64_t>(length, end > position.value ? end - position.value : 0);
  }
  if (length == 0) return Bytes();
  Buffer buffer(length);
  STELE_TRY(const std::size_t got, read(position, buffer.data(), length));
  return std::move(buffer).freeze(got);
}

Result<void> SystemFile::write(Position position, std::string_view from) {
  while (!from.empty()) {
    const ssize_t put = restarting([&] {
      return ::pwrite(descriptor_.number(), from.data(), from.size(), static_cast<off_t>(position.value));
    });
    if (put == 0) errno = EIO;
    if (put <= 0) return failed("writing");
    position += static_cast<std::uint64_t>(put);
    from.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

Result<void> SystemFile::write(Position position, std::span<const Bytes> slices) {
  iovec parts[IOV_MAX];
  std::size_t skip = 0;  // of the first slice, already written
  for (;;) {
    while (!slices.empty() && skip >= slices.front().size()) {
      skip -= slices.front().size();
      slices = slices.subspan(1);
    }
    if (slices.empty()) return {};
    int count = 0;
    for (const Bytes& slice : slices) {
      if (count == IOV_MAX) break;
      parts[count++] = {const_cast<char*>(slice.data()), slice.size()};
    }
    parts[0].iov_base = static_cast<char*>(parts[0].iov_base) + skip;
    parts[0].iov_len -= skip;
    const ssize_t put = restarting(
        [&] { return ::pwritev(descriptor_.number(), parts, count, static_cast<off_t>(position.value)); });
    if (put == 0) errno = EIO;
    if (put <= 0) return failed("writing");
    position += static_cast<std::uint64_t>(put);
    skip += static_cast<std::size_t>(put);
  }
}

Result<void> SystemFile::sync() {
  // Not called again after a failure: the kernel has dropped the pages and would report success.
  if (::fdatasync(descriptor_.number()) != 0) return failed("syncing");
  return {};
}

Result<void> SystemFile::truncate(std::uint64_t size) {
  if (restarting([&] { return ::ftruncate(descriptor_.number(), static_cast<off_t>(size)); }) != 0) {
    return failed("truncating");
  }
  return {};
}

Result<void> SystemFile::close() {
  // On Linux the descriptor is gone whatever close() says; calling it again could close somebody else's.
  if (::close(descriptor_.release()) != 0 && errno != EINTR) return failed("closing");
  return {};
}

Result<std::unique_ptr<BlockingFile>> SystemFiles::open(const std::string& path, OpenMode mode) {
  STELE_TRY(Descriptor descriptor, open_descriptor(path, mode));
  return std::make_unique<SystemFile>(std::move(descriptor), path);
}

Result<std::shared_ptr<SystemFile>> SystemFiles::open_shared(const std::string& path, OpenMode mode) {
  STELE_TRY(Descriptor descriptor, open_descriptor(path, mode));
  return std::make_shared<SystemFile>(std::move(descriptor), path);
}

Result<bool> SystemFiles::exists(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return failed_at("looking for", path);
}

Result<void> SystemFiles::remove(const std::string& path) {
  if (::unlink(path.c_str()) == 0) return {};
  if (errno == EISDIR && ::rmdir(path.c_str()) == 0) return {};
  return failed_at("removing", path);
}

Result<void> SystemFiles::sync_directory(const std::string& path) {
  const Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.number() < 0 || ::fsync(directory.number()) != 0) return failed_at("syncing directory", path);
  return {};
}

Result<std::vector<DirectoryEntry>> SystemFiles::list(const std::string& directory) {
  DIR* stream = ::opendir(directory.c_str());
  if (!stream) return failed_at("listing", directory);
  std::vector<DirectoryEntry> entries;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") {
      const bool unknown = entry->d_type == DT_UNKNOWN || entry->d_type == DT_LNK;
      const bool is_dir = unknown ? is_directory(directory + "/" + entry->d_name) : entry->d_type == DT_DIR;
      entries.push_back({std::string(name), is_dir});
    }
    errno = 0;
  }
  const int number = errno;
  ::closedir(stream);
  if (number != 0) return std::unexpected(system_error(number, "listing " + directory));
  std::ranges::sort(entries, {}, &DirectoryEntry::name);
  return entries;
}

Result<void> SystemFiles::make_directory(const std::string& path) {
  for (std::size_t end = 1; end <= path.size(); ++end) {
    if (end < path.size() && path[end] != '/') continue;
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), kDirectoryMode) == 0 || is_directory(part)) continue;
    return failed_at("making directory", part);
  }
  return {};
}

Result<void> SystemFiles::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return failed_at("renaming " + from + " to", to);
  return {};
}

Result<Descriptor> SystemFiles::lock(const std::string& path) {
  STELE_TRY(Descriptor descriptor, open_descriptor(path, OpenMode::kCreate));
  if (restarting([&] { return ::flock(descriptor.number(), LOCK_EX | LOCK_NB); }) == 0) return descriptor;
  if (errno == EWOULDBLOCK) {
    return error(ErrorCode::kAlreadyExists,
                 "locking " + path + ": another process or part of this one holds it");
  }
  return failed_at("locking", path);
}

}  // namespace stele::runtime::uv
