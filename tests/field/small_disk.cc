#include "tests/field/small_disk.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace stele::field {

namespace {

std::unexpected<Error> refused(const char* what) {
  return error(ErrorCode::kUnauthorized, std::string(what) + ": " + std::strerror(errno));
}

}  // namespace

Result<void> SmallDisk::leave_shared_mounts() {
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  if (::unshare(CLONE_NEWNS | (user == 0 ? 0 : CLONE_NEWUSER)) != 0) return refused("unshare");
  if (user != 0) {
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
    std::ofstream("/proc/self/gid_map") << "0 " << group << " 1";
  }
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return refused("mounts of its own");
  return {};
}

Result<std::unique_ptr<SmallDisk>> SmallDisk::make(std::string directory, std::uint64_t bytes) {
  if (::mkdir(directory.c_str(), 0750) != 0) return refused("mkdir");
  const std::string size = "size=" + std::to_string(bytes);
  if (::mount("none", directory.c_str(), "tmpfs", 0, size.c_str()) != 0) return refused("mount");
  return std::unique_ptr<SmallDisk>(new SmallDisk(std::move(directory)));
}

SmallDisk::~SmallDisk() {
  ::umount2(directory_.c_str(), MNT_DETACH);
  ::rmdir(directory_.c_str());
}

std::uint64_t SmallDisk::free_bytes() const {
  struct statvfs status{};
  if (::statvfs(directory_.c_str(), &status) != 0) return 0;
  return std::uint64_t{status.f_bavail} * status.f_bsize;
}

bool SmallDisk::fill(std::uint64_t leave_free) {
  const int descriptor = ::open(filler().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (descriptor < 0) return false;
  // The node writes meanwhile: what does not fit in one piece any more may in smaller ones.
  constexpr std::uint64_t kSmallest = 4096;
  std::uint64_t piece = 64 << 20;
  std::uint64_t size = static_cast<std::uint64_t>(std::max<off_t>(::lseek(descriptor, 0, SEEK_END), 0));
  while (piece >= kSmallest) {
    const std::uint64_t free = free_bytes();
    if (free <= leave_free) break;
    const std::uint64_t more = std::min(piece, free - leave_free);
    if (more >= kSmallest &&
        ::posix_fallocate(descriptor, static_cast<off_t>(size), static_cast<off_t>(more)) == 0) {
      size += more;
    } else {
      piece /= 2;
    }
  }
  ::close(descriptor);
  return true;
}

void SmallDisk::make_room() {
  ::unlink(filler().c_str());
}

Result<void> SmallDisk::copy(const std::string& to) const {
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, failure)) {
    if (entry.path() == filler()) continue;
    std::filesystem::copy(entry.path(), std::filesystem::path(to) / entry.path().filename(),
                          std::filesystem::copy_options::recursive, failure);
    if (failure) break;
  }
  if (failure) return error(ErrorCode::kIo, "copying " + directory_ + ": " + failure.message());
  return {};
}

}  // namespace stele::field
