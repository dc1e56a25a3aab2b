#include "runtime/uv/uv_process.h"

#include <pthread.h>
#include <signal.h>
#include <sys/random.h>
#include <uv.h>

#include <array>
#include <string>
#include <thread>
#include <utility>

#include "base/assert.h"
#include "runtime/uv/core.h"
#include "runtime/uv/stderr_log.h"

namespace stele::runtime::uv {
namespace {

std::uint64_t seed_from_system() {
  std::uint64_t seed = 0;
  STELE_ASSERT(::getrandom(&seed, sizeof(seed), 0) == sizeof(seed));
  return seed;
}

}  // namespace

struct UvProcess::Inside {
  Inside(LogLevel level, int descriptor) : log(level, descriptor) {}
  StderrLog log;
  std::vector<std::unique_ptr<UvCore>> cores;
  std::function<void(int)> on_signal;
  std::array<uv_signal_t, 2> signals;
};

UvProcess::UvProcess(ProcessOptions options)
    : inside_(std::make_unique<Inside>(options.log_level, options.log_descriptor)) {
  STELE_ASSERT(options.cores > 0);
  ::signal(SIGPIPE, SIG_IGN);  // a write to a closed connection is an error of that connection
  ::signal(SIGXFSZ, SIG_IGN);  // a write beyond the limit of file sizes is an error of that file
  Random seeds(options.seed ? *options.seed : seed_from_system());
  for (std::uint32_t i = 0; i < options.cores; ++i) {
    const std::uint64_t seed = options.seed ? seeds.next() : seed_from_system();
    inside_->cores.push_back(std::make_unique<UvCore>(inside_->cores, CoreId(i), seed, inside_->log));
  }
}

UvProcess::~UvProcess() {
  if (inside_->on_signal) {
    for (uv_signal_t& signal : inside_->signals) uv_close(reinterpret_cast<uv_handle_t*>(&signal), nullptr);
  }
  // Each core while the others still take its posts.
  for (auto& core : inside_->cores) core->finish();
}

std::uint32_t UvProcess::core_count() const {
  return static_cast<std::uint32_t>(inside_->cores.size());
}

Runtime& UvProcess::core(CoreId core) {
  return *inside_->cores.at(core.value);
}

Log& UvProcess::log() {
  return inside_->log;
}

void UvProcess::run(std::function<void(Runtime&)> start) {
  const auto run_core = [&start](UvCore& core) {
    core.post(core.core(), [&] { start(core); });
    core.run();
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < inside_->cores.size(); ++i) {
    UvCore& core = *inside_->cores[i];
    threads.emplace_back([&run_core, &core] { run_core(core); });
    pthread_setname_np(threads.back().native_handle(), ("core-" + std::to_string(i)).c_str());
  }
  run_core(*inside_->cores[0]);
  for (std::thread& thread : threads) thread.join();
}

void UvProcess::stop() {
  for (auto& core : inside_->cores) core->stop();
}

void UvProcess::install_signals(std::function<void(int signal)> on_signal) {
  STELE_ASSERT(!inside_->on_signal && on_signal);
  inside_->on_signal = std::move(on_signal);
  constexpr std::array<int, 2> kNumbers = {SIGTERM, SIGINT};
  for (std::size_t i = 0; i < kNumbers.size(); ++i) {
    uv_signal_t& signal = inside_->signals[i];
    STELE_ASSERT(uv_signal_init(inside_->cores[0]->loop(), &signal) == 0);
    signal.data = inside_.get();
    const int status = uv_signal_start(
        &signal, [](uv_signal_t* s, int number) { static_cast<Inside*>(s->data)->on_signal(number); },
        kNumbers[i]);
    STELE_ASSERT(status == 0);
  }
}

}  // namespace stele::runtime::uv
