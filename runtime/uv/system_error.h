// Errors of the operating system (and of libuv, whose codes are negated errnos) as Errors of ours.
#pragma once

#include <string_view>

#include "base/result.h"

namespace stele::runtime::uv {

ErrorCode code_of_errno(int number);

// "opening /var/lib/stele/lock: No such file or directory".
Error system_error(int number, std::string_view doing);
// The same for what libuv returned; knows UV_EOF and the resolver's codes too.
Error uv_error(int status, std::string_view doing);

}  // namespace stele::runtime::uv
