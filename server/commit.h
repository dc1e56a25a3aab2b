// The commit that the binary was built from, with "-dirty" behind it when files had been changed; "unknown"
// outside of a checkout. Generated; only the binary itself links it, so that a commit makes nothing else new.
#pragma once

namespace stele::server {

extern const char* const kCommit;

}  // namespace stele::server
