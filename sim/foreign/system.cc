// Some of what is defined here would be inline functions of the C library's.
#undef _FORTIFY_SOURCE

#include "sim/foreign/system.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdarg>
#include <cstdlib>

namespace stele::sim {
namespace {

ForeignSystem* current = nullptr;

// The one socket that a library may have at a time; no file of the process has this number.
constexpr int kSocket = 1'000'000;

// The next definition of that name: the C library's, or that of a sanitizer before it.
template <class Function>
Function* system_call(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

bool is_ours(int fd) {
  return current != nullptr && fd == kSocket;
}

std::ptrdiff_t answer(std::ptrdiff_t bytes_or_error) {
  if (bytes_or_error >= 0) return bytes_or_error;
  errno = static_cast<int>(-bytes_or_error);
  return -1;
}

}  // namespace

ForeignCall::ForeignCall(ForeignSystem& system) : before_(current) {
  current = &system;
}

ForeignCall::~ForeignCall() {
  current = before_;
}

}  // namespace stele::sim

using stele::sim::answer;
using stele::sim::current;
using stele::sim::is_ours;
using stele::sim::kSocket;
using stele::sim::system_call;

extern "C" {

// Some address: where the connection leads was settled before.
int getaddrinfo(const char* name, const char* service, const addrinfo* hints, addrinfo** found) {
  if (current == nullptr) {
    static auto* const next = system_call<decltype(getaddrinfo)>("getaddrinfo");
    return next(name, service, hints, found);
  }
  struct Found {
    addrinfo info;
    sockaddr_in address;
  };
  auto* made = static_cast<Found*>(std::calloc(1, sizeof(Found)));
  if (made == nullptr) return EAI_MEMORY;
  made->address.sin_family = AF_INET;
  made->info.ai_family = AF_INET;
  made->info.ai_socktype = SOCK_STREAM;
  made->info.ai_addrlen = sizeof(made->address);
  made->info.ai_addr = reinterpret_cast<sockaddr*>(&made->address);
  *found = &made->info;
  return 0;
}

void freeaddrinfo(addrinfo* found) noexcept {
  if (current != nullptr) return std::free(found);
  static auto* const next = system_call<decltype(freeaddrinfo)>("freeaddrinfo");
  next(found);
}

int socket(int domain, int type, int protocol) noexcept {
  if (current != nullptr) return kSocket;
  static auto* const next = system_call<decltype(socket)>("socket");
  return next(domain, type, protocol);
}

// Libraries wake their own threads with these; there are none.
int socketpair(int domain, int type, int protocol, int fds[2]) noexcept {
  if (current != nullptr) return static_cast<int>(answer(-EMFILE));
  static auto* const next = system_call<decltype(socketpair)>("socketpair");
  return next(domain, type, protocol, fds);
}

int connect(int fd, const sockaddr* to, socklen_t size) {
  if (is_ours(fd)) return static_cast<int>(answer(current->connect()));
  static auto* const next = system_call<decltype(connect)>("connect");
  return next(fd, to, size);
}

int setsockopt(int fd, int level, int name, const void* value, socklen_t size) noexcept {
  if (is_ours(fd)) return 0;
  static auto* const next = system_call<decltype(setsockopt)>("setsockopt");
  return next(fd, level, name, value, size);
}

int fcntl(int fd, int command, ...) {
  if (is_ours(fd)) return 0;
  // Whatever the command takes fits a pointer, and one that takes nothing does not look at it.
  va_list list;
  va_start(list, command);
  void* const argument = va_arg(list, void*);
  va_end(list);
  static auto* const next = system_call<int(int, int, ...)>("fcntl");
  return next(fd, command, argument);
}

ssize_t read(int fd, void* to, size_t at_most) {
  if (is_ours(fd)) return answer(current->read(static_cast<char*>(to), at_most));
  static auto* const next = system_call<decltype(read)>("read");
  return next(fd, to, at_most);
}

ssize_t write(int fd, const void* from, size_t bytes) {
  if (is_ours(fd)) return answer(current->write({static_cast<const char*>(from), bytes}));
  static auto* const next = system_call<decltype(write)>("write");
  return next(fd, from, bytes);
}

int close(int fd) {
  if (is_ours(fd)) return current->close(), 0;
  static auto* const next = system_call<decltype(close)>("close");
  return next(fd);
}

int clock_gettime(clockid_t clock, timespec* out) noexcept {
  if (current != nullptr) {
    const auto since = current->now().time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
    out->tv_sec = seconds.count();
    out->tv_nsec = std::chrono::nanoseconds(since - seconds).count();
    return 0;
  }
  static auto* const next = system_call<decltype(clock_gettime)>("clock_gettime");
  return next(clock, out);
}

}  // extern "C"
