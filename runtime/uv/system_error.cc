#include "runtime/uv/system_error.h"

#include <uv.h>

#include <cerrno>
#include <string>

namespace stele::runtime::uv {

ErrorCode code_of_errno(int number) {
  switch (number) {
    case ENOENT:
    case ENOTDIR:
      return ErrorCode::kNotFound;
    case EEXIST:
    case ENOTEMPTY:
      return ErrorCode::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorCode::kUnauthorized;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
      return ErrorCode::kNoSpace;
    case EINVAL:
    case EBADF:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
      return ErrorCode::kInvalidArgument;
    case EADDRINUSE:
      return ErrorCode::kAddressInUse;
    case ECONNREFUSED:
      return ErrorCode::kRefused;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ENOTCONN:
      return ErrorCode::kClosed;
    case ETIMEDOUT:
      return ErrorCode::kTimedOut;
    case ECANCELED:
      return ErrorCode::kCancelled;
    case EAGAIN:
    case EBUSY:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
      return ErrorCode::kUnavailable;
    default:
      return ErrorCode::kIo;
  }
}

Error system_error(int number, std::string_view doing) {
  return uv_error(-number, doing);
}

Error uv_error(int status, std::string_view doing) {
  ErrorCode code = code_of_errno(-status);
  if (status == UV_EOF) code = ErrorCode::kClosed;
  if (status == UV_EAI_NONAME || status == UV_EAI_NODATA) code = ErrorCode::kNotFound;
  if (status == UV_EAI_AGAIN || status == UV_EAI_FAIL) code = ErrorCode::kUnavailable;
  if (status == UV_EAI_CANCELED) code = ErrorCode::kCancelled;
  char text[128];
  uv_strerror_r(status, text, sizeof(text));
  return Error{code, std::string(doing) + ": " + text};
}

}  // namespace stele::runtime::uv
