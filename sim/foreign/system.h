// The system that a library of others sees while it is called from the simulator: one stream socket, and the
// virtual clock. The program defines the system calls that such a library makes (system.cc); within a
// ForeignCall they go to its ForeignSystem, otherwise to the C library as ever.
//
// One thread. Nothing of a real socket or clock is ever reached from within a ForeignCall.
#pragma once

#include <cstddef>
#include <string_view>

#include "runtime/time.h"

namespace stele::sim {

// What is at the other end of a socket. Each call answers at once, as on a socket that does not block: with a
// number of bytes, or with -errno.
class ForeignSystem {
 public:
  virtual int connect() = 0;
  virtual std::ptrdiff_t read(char* to, std::size_t at_most) = 0;
  virtual std::ptrdiff_t write(std::string_view bytes) = 0;
  virtual void close() = 0;
  virtual runtime::Instant now() const = 0;

 protected:
  ~ForeignSystem() = default;
};

// While it lives, this thread's system calls go there. They nest.
class ForeignCall {
 public:
  explicit ForeignCall(ForeignSystem& system);
  ~ForeignCall();
  ForeignCall(const ForeignCall&) = delete;
  ForeignCall& operator=(const ForeignCall&) = delete;

 private:
  ForeignSystem* const before_;
};

}  // namespace stele::sim
