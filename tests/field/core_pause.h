// A signal to one thread of the node makes it stand still while the others go on: a library that is preloaded
// handles it by sleeping for as many milliseconds as come with it (disk_faults.cc is in the same library).
#pragma once

#include <signal.h>

namespace stele::field {

inline int core_pause_signal() {
  return SIGRTMIN + 6;
}

}  // namespace stele::field
