// Where the command line takes a password from: a file, or the environment. Never from a flag that `ps`
// shows.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/result.h"

namespace stele::server {

// The first line of a file. kNotFound, kInvalidArgument: empty, or longer than a password is.
Result<std::string> read_password_file(const std::string& path);

// The file if one is named, else the variable, else nothing.
Result<std::optional<std::string>> find_password(const std::string& file,
                                                 const std::map<std::string, std::string>& environment,
                                                 const std::string& variable);

}  // namespace stele::server
