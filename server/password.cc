#include "server/password.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "model/scram.h"

namespace stele::server {

Result<std::string> read_password_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string line;
  if (!stream.is_open()) {
    return error(ErrorCode::kNotFound,
                 "the password file " + path + " cannot be read: " + std::strerror(errno));
  }
  std::getline(stream, line);
  if (line.ends_with('\r')) line.pop_back();
  if (line.empty() || line.size() > scram::kMaxPasswordBytes) {
    return error(ErrorCode::kInvalidArgument, "the first line of " + path + " is no password: it has 1 to " +
                                                  std::to_string(scram::kMaxPasswordBytes) + " bytes");
  }
  return line;
}

Result<std::optional<std::string>> find_password(const std::string& file,
                                                 const std::map<std::string, std::string>& environment,
                                                 const std::string& variable) {
  if (!file.empty()) return read_password_file(file);
  const auto found = environment.find(variable);
  if (found == environment.end() || found->second.empty()) return std::nullopt;
  return found->second;
}

}  // namespace stele::server
