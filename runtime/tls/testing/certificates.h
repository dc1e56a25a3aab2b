// Certificates for tests, made on the spot.
#pragma once

#include <string>

namespace stele::runtime::tls::testing {

struct Issued {
  std::string certificate;  // PEM
  std::string key;
};

// Signs its own certificate, and those of others.
Issued make_authority(const std::string& name);
// For the host or user of that name; `days` from now on, or ago.
Issued issue(const Issued& authority, const std::string& name, int days = 1);

}  // namespace stele::runtime::tls::testing
