#include "tests/field/wall_clock.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

namespace stele::field {

using sim::Fault;
using sim::FaultKind;

namespace {

constexpr std::int64_t kSecond = 1'000'000'000, kMillisecond = 1'000'000, kMillion = 1'000'000;

std::int64_t machine_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return time.tv_sec * kSecond + time.tv_nsec;
}

// "12.000345", with a sign if wanted.
std::string seconds(std::int64_t ns, bool sign) {
  char text[64];
  const std::int64_t size = ns < 0 ? -ns : ns;
  const char* const before = ns < 0 ? "-" : sign ? "+" : "";
  std::snprintf(text, sizeof(text), "%s%lld.%09lld", before, static_cast<long long>(size / kSecond),
                static_cast<long long>(size % kSecond));
  return text;
}

std::int64_t signed_amount(const Fault& fault) {
  const auto amount = static_cast<std::int64_t>(fault.amount);
  return fault.amount % 2 ? -amount : amount;
}

}  // namespace

Result<std::unique_ptr<WallClock>> WallClock::make(std::string library, const std::string& directory) {
  const std::string file = directory + "/wall-clock";
  std::unique_ptr<WallClock> clock(new WallClock(std::move(library), file));
  clock->write();
  if (::access(file.c_str(), R_OK) != 0)
    return error(ErrorCode::kUnavailable, file + ": " + std::strerror(errno));
  return clock;
}

std::vector<std::string> WallClock::environment() const {
  // The file is read for each look at the clock: nothing of what it said before is kept.
  return {"FAKETIME_TIMESTAMP_FILE=" + file_, "FAKETIME_NO_CACHE=1",   "FAKETIME_FMT=%s",
          "FAKETIME_DONT_FAKE_MONOTONIC=1",   "DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"};
}

void WallClock::clean_up_after(pid_t process) {
  for (const char* name : {"/dev/shm/faketime_shm_", "/dev/shm/sem.faketime_sem_"})
    ::unlink((name + std::to_string(process)).c_str());
}

bool WallClock::begin(const Fault& fault) {
  put_down_drift();
  switch (fault.kind) {
    case FaultKind::kClockJump:
      (stands_at_ ? *stands_at_ : ahead_ns_) += signed_amount(fault) * kMillisecond;
      break;
    case FaultKind::kClockStands:
      if (stand_++ == 0) stands_at_ = machine_ns() + ahead_ns_;
      break;
    case FaultKind::kClockDrifts:
      drifts_.push_back(signed_amount(fault));
      break;
    default:
      return false;
  }
  write();
  return true;
}

void WallClock::end(const Fault& fault) {
  put_down_drift();
  if (fault.kind == FaultKind::kClockStands && stand_ > 0 && --stand_ == 0) {
    // It goes on from where it stood.
    ahead_ns_ = *stands_at_ - machine_ns();
    stands_at_.reset();
  }
  if (fault.kind == FaultKind::kClockDrifts) {
    const auto found = std::ranges::find(drifts_, signed_amount(fault));
    if (found != drifts_.end()) drifts_.erase(found);
  }
  write();
}

void WallClock::tick() {
  if (drifts_.empty() || stands_at_) return;
  put_down_drift();
  write();
}

void WallClock::heal() {
  put_down_drift();
  drifts_.clear();
  if (stands_at_) {
    stand_ = 1;
    end({.kind = FaultKind::kClockStands, .host = {}, .other = {}});
  }
  write();
}

double WallClock::ahead_s() const {
  const std::int64_t ahead = stands_at_ ? *stands_at_ - machine_ns() : ahead_ns_;
  return static_cast<double>(ahead) / static_cast<double>(kSecond);
}

// What it has gained since the last time.
void WallClock::put_down_drift() {
  const std::int64_t now = machine_ns(), passed = now - std::exchange(drift_put_down_, now);
  if (!drifts_.empty() && !stands_at_) ahead_ns_ += passed / 1000 * drifts_.back() / (kMillion / 1000);
}

// The file is whole at any time.
void WallClock::write() const {
  const std::string next = file_ + "-next";
  std::ofstream(next) << (stands_at_ ? seconds(*stands_at_, false) : seconds(ahead_ns_, true)) << "\n";
  ::rename(next.c_str(), file_.c_str());
}

}  // namespace stele::field
