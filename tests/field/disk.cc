#include "tests/field/disk.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

namespace stele::field {

using sim::Fault;
using sim::FaultKind;

namespace {

// How long an operation takes on a disk that is not slow, for want of knowing.
constexpr std::int64_t kUsualNs = 50'000;
// The longest that slowness makes of it.
constexpr std::int64_t kSlowestNs = 5'000'000;

std::int64_t now_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

Result<std::unique_ptr<Disk>> Disk::make(const std::string& library, const std::string& directory) {
  const std::string file = directory + "/disk-control";
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  void* at = MAP_FAILED;
  if (descriptor >= 0 && ::ftruncate(descriptor, sizeof(DiskControl)) == 0)
    at = ::mmap(nullptr, sizeof(DiskControl), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  const int failure = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (at == MAP_FAILED) return error(ErrorCode::kUnavailable, file + ": " + std::strerror(failure));
  auto* control = new (at) DiskControl{};
  control->room = DiskControl::kUnlimited;
  return std::unique_ptr<Disk>(new Disk(control, library, file));
}

Disk::~Disk() {
  ::munmap(control_, sizeof(DiskControl));
}

std::vector<std::string> Disk::environment() const {
  return {std::string(kDiskControlVariable) + "=" + file_};
}

bool Disk::begin(const Fault& fault) {
  const auto amount = static_cast<std::int64_t>(fault.amount);
  switch (fault.kind) {
    case FaultKind::kKillInFileOperation:
      kills_ = true;
      control_->kill_in = std::max<std::int64_t>(amount, 1);
      return true;
    case FaultKind::kSyncFails:
      control_->syncs_to_fail += amount;
      return true;
    case FaultKind::kReadFails:
      control_->reads_to_fail += amount;
      return true;
    case FaultKind::kWriteFails:
      control_->writes_to_fail += amount;
      return true;
    case FaultKind::kNoSpace:
      control_->room = amount;
      return true;
    case FaultKind::kSlowDisk:
      control_->takes = std::min(kUsualNs * amount, kSlowestNs);
      return true;
    case FaultKind::kDiskStalls:
      control_->stall_until = now_ns() + fault.lasts.count();
      return true;
    case FaultKind::kOperationStalls:
      control_->next_takes = fault.lasts.count();
      return true;
    default:
      return false;
  }
}

void Disk::end(const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::kKillInFileOperation:
      return forget_kill();
    case FaultKind::kNoSpace:
      control_->room = DiskControl::kUnlimited;
      return;
    case FaultKind::kSlowDisk:
      control_->takes = 0;
      return;
    default:
      return;
  }
}

void Disk::heal() {
  control_->syncs_to_fail = control_->reads_to_fail = control_->writes_to_fail = 0;
  control_->room = DiskControl::kUnlimited;
  control_->stall_until = control_->next_takes = control_->takes = 0;
  control_->kill_in = 0;
}

void Disk::forget_kill() {
  control_->kill_in = 0;
  kills_ = false;
}

}  // namespace stele::field
