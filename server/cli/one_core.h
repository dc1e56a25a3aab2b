// A process of one core for a command that asks something of a node and ends.
#pragma once

#include <functional>

#include "runtime/runtime.h"
#include "runtime/stop.h"
#include "runtime/task.h"

namespace stele::server::cli {

// Runs the task that `make` gives, on a core that is made for it, and gives its value as the exit status. The
// token stops at SIGINT or SIGTERM; a second one ends the process at once.
int run_on_one_core(const std::function<runtime::Task<int>(runtime::Runtime&, runtime::StopToken)>& make);

}  // namespace stele::server::cli
