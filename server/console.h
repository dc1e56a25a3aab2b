// Standard output and standard error of the command line.
#pragma once

#include <string>
#include <string_view>

namespace stele::server {

// To standard output, at once. False if nobody reads it any more.
bool print(std::string_view text);
// "stele: TEXT" to standard error.
void complain(std::string_view text);

// Text of others without what would steer a terminal: control characters become \xNN.
std::string printable(std::string_view text);

}  // namespace stele::server
