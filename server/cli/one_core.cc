#include "server/cli/one_core.h"

#include <unistd.h>

#include <utility>

#include "runtime/scope.h"
#include "runtime/uv/uv_process.h"

namespace stele::server::cli {
namespace {

runtime::Task<void> run_and_stop(runtime::uv::UvProcess& process, runtime::Task<int> task, int& status) {
  status = co_await std::move(task);
  process.stop();
}

}  // namespace

int run_on_one_core(const std::function<runtime::Task<int>(runtime::Runtime&, runtime::StopToken)>& make) {
  int status = 1;
  runtime::uv::UvProcess process({.cores = 1, .log_level = runtime::LogLevel::kWarn});
  runtime::StopSource stop;
  runtime::Scope scope;
  process.install_signals([&stop](int signal) {
    if (stop.stop_requested()) ::_exit(128 + signal);
    stop.request_stop();
  });
  process.run([&](runtime::Runtime& runtime) {
    scope.spawn(run_and_stop(process, make(runtime, stop.token()), status));
  });
  return status;
}

}  // namespace stele::server::cli
