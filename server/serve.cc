#include "server/serve.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <thread>
#include <utility>

#include "runtime/notification.h"
#include "runtime/scope.h"
#include "runtime/uv/process_stats.h"
#include "runtime/uv/uv_process.h"
#include "server/config.h"
#include "server/console.h"
#include "server/node.h"
#include "server/node_config.h"
#include "server/password.h"
#include "server/process_metrics.h"
#include "server/tls_files.h"

namespace stele::server {
namespace {

using runtime::Runtime;
using runtime::Task;

constexpr std::uint64_t kLeastOpenFiles = 256;
constexpr std::uint64_t kEnoughOpenFiles = 10'000;
constexpr runtime::Duration kBetweenLooksAtTlsFiles = std::chrono::seconds(5);

Result<ConfigFile> read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(stream), {});
  if (!stream.is_open() || stream.bad()) {
    return error(ErrorCode::kNotFound,
                 "configuration file " + path + " cannot be read: " + std::strerror(errno));
  }
  return ConfigFile{path, std::move(text)};
}

Result<LoadedConfig> load(const ServeArguments& arguments) {
  ConfigInputs inputs{.flags = arguments.flags, .environment = arguments.environment};
  if (const auto path = config_file_path(arguments.config_file, arguments.environment)) {
    STELE_TRY(inputs.file, read_file(*path));
  }
  return load_config(inputs);
}

// Who may make the other users.
Result<std::optional<NodeConfig::FirstUser>> administrator(const Config& config) {
  if (config.admin_user.empty()) {
    if (config.admin_password_file.empty() && !config.admin_password) return std::nullopt;
    return error(ErrorCode::kInvalidArgument, "there is a password of an administrator, but no --admin-user");
  }
  std::optional<std::string> password = config.admin_password;
  if (!config.admin_password_file.empty()) {
    STELE_TRY(password, read_password_file(config.admin_password_file));
  }
  if (!password || password->empty()) {
    return error(ErrorCode::kInvalidArgument,
                 "--admin-user: there is no password: use --admin-password-file or set STELE_ADMIN_PASSWORD");
  }
  return NodeConfig::FirstUser{config.admin_user, *std::move(password)};
}

Result<std::uint64_t> prepare_open_files() {
  STELE_TRY(const std::uint64_t limit, runtime::uv::raise_open_files_limit());
  if (limit < kLeastOpenFiles) {
    return error(ErrorCode::kNoSpace,
                 "the limit of open files is " + std::to_string(limit) + ", and " +
                     std::to_string(kLeastOpenFiles) +
                     " are the least that serve anybody: raise it (ulimit -n, LimitNOFILE=)");
  }
  return limit;
}

// Ports are shared among the cores of a process, and so could be shared with another process: one that binds
// without sharing finds out.
Result<void> check_port_is_free(Runtime& runtime, const char* protocol, const runtime::Endpoint& at) {
  struct Nobody : runtime::AcceptHandler {
    void on_accept(std::unique_ptr<runtime::Connection>) override {}
  } nobody;
  if (at.port == 0) return {};
  const auto listener = runtime.network().listen(at, {}, nobody);
  if (listener) return {};
  if (listener.error().code == ErrorCode::kAddressInUse) {
    return error(ErrorCode::kAddressInUse,
                 "address " + at.to_string() +
                     " is in use: stop what listens there, or choose another with --" + protocol);
  }
  return std::unexpected(listener.error().with_context("--" + std::string(protocol)));
}

// A directory of somebody else's is not taken over.
Task<Result<void>> check_directory(Runtime& runtime, std::string path) {
  const auto entries = co_await runtime.files().list(path);
  if (!entries) {
    if (entries.error().code == ErrorCode::kNotFound) co_return Result<void>();
    co_return std::unexpected(entries.error().with_context("data directory"));
  }
  const std::string* foreign = nullptr;
  for (const auto& entry : *entries) {
    if (entry.name == "format") co_return Result<void>();
    if (entry.name != "lock") foreign = &entry.name;
  }
  if (!foreign) co_return Result<void>();
  co_return error(ErrorCode::kInvalidArgument, "data directory " + path +
                                                   " holds something that is not Stele's (" + *foreign +
                                                   "): choose an empty or a new one with --data");
}

// The process while it serves. Made before the cores run and destroyed after.
class Service {
 public:
  Service(runtime::uv::UvProcess& process, const Config& config,
          std::optional<NodeConfig::FirstUser> administrator, std::unique_ptr<TlsFiles> tls_files,
          std::shared_ptr<const runtime::tls::Context> tls, RpcTls rpc_tls)
      : process_(process), config_(config), tls_files_(std::move(tls_files)) {
    NodeConfig node = to_node_config(config);
    node.administrator = std::move(administrator);
    node.tls = std::move(tls);
    if (node.cluster) {
      node.cluster->tls_server = std::move(rpc_tls.server);
      node.cluster->tls_client = std::move(rpc_tls.client);
    }
    node.process_metrics = add_process_metrics;
    node.on_failure = [this](const Error& why) { on_failure(why); };
    std::vector<Runtime*> cores;
    for (std::uint32_t i = 0; i < process.core_count(); ++i) cores.push_back(&process.core(CoreId(i)));
    node_ = std::make_unique<Node>(cores, std::move(node));
  }

  void start() { scope_.spawn(run()); }
  void on_signal(int signal) {
    if (std::exchange(asked_to_stop_, true)) {
      process_.log().write(runtime::LogLevel::kWarn, "server", "second signal: ending at once");
      ::_exit(128 + signal);
    }
    process_.log().write(runtime::LogLevel::kInfo, "server",
                         "signal " + std::to_string(signal) + ": stopping");
    stop_.wake_all();
  }
  int status() const { return status_; }

 private:
  // Nothing can be acknowledged any more in this process; the next one goes on from what is on the disk.
  void on_failure(const Error& why) {
    if (!node_->serving()) {  // start() says it, or does not
      failed_early_ = why;
      return;
    }
    complain(why.message + ": stopping, because nothing can be stored any more");
    status_ = 1;
    if (!std::exchange(asked_to_stop_, true)) stop_.wake_all();
  }

  Task<void> run() {
    if (auto started = co_await prepare(); !started) {
      complain((failed_early_ ? *failed_early_ : started.error()).message);
      status_ = 1;
    } else if (failed_early_) {
      on_failure(*failed_early_);
    } else if (!asked_to_stop_) {
      if (!print(node_->ready_line() + "\n")) {
        process_.log().write(runtime::LogLevel::kWarn, "server", "nobody reads standard output");
      }
      if (tls_files_) watching_.spawn(watch_tls_files());
      co_await stop_.wait();
      co_await watching_.close();
    }
    if (began_) co_await node_->stop();
    process_.stop();
  }

  // A certificate that is renewed is taken up without anybody's help; one that cannot be used is not.
  Task<void> watch_tls_files() {
    Runtime& runtime = process_.core(CoreId(0));
    const runtime::StopToken stop = watching_.token();
    while (!stop.stop_requested()) {
      co_await runtime::sleep(runtime, kBetweenLooksAtTlsFiles, stop);
      auto found = std::make_shared<std::optional<Result<std::shared_ptr<const runtime::tls::Context>>>>();
      co_await runtime::run_blocking(
          runtime, [this, found](runtime::BlockingFiles&) { *found = tls_files_->load_if_changed(); });
      if (stop.stop_requested() || !*found) continue;
      if (auto& context = **found) {
        node_->use_tls(*std::move(context));
        process_.log().write(runtime::LogLevel::kInfo, "server",
                             "TLS: the files have changed; new connections go by them");
      } else {
        process_.log().write(runtime::LogLevel::kWarn, "server",
                             context.error().message + "; what was read before stays in use");
      }
    }
  }

  Task<Result<void>> prepare() {
    Runtime& runtime = process_.core(CoreId(0));
    if (config_.rpc) STELE_CO_CHECK(check_port_is_free(runtime, "rpc", *config_.rpc));
    if (config_.roles & meta::kBrokerRole) {
      for (const auto& at : config_.mqtt) STELE_CO_CHECK(check_port_is_free(runtime, "mqtt", at));
      for (const auto& at : config_.kafka) STELE_CO_CHECK(check_port_is_free(runtime, "kafka", at));
      for (const auto& at : config_.mqtt_tls) STELE_CO_CHECK(check_port_is_free(runtime, "mqtt-tls", at));
      for (const auto& at : config_.kafka_tls) STELE_CO_CHECK(check_port_is_free(runtime, "kafka-tls", at));
    }
    for (const auto& at : config_.http) STELE_CO_CHECK(check_port_is_free(runtime, "http", at));
    for (const auto& at : config_.http_tls) STELE_CO_CHECK(check_port_is_free(runtime, "http-tls", at));
    STELE_CO_CHECK(co_await check_directory(runtime, config_.data));
    began_ = true;
    co_return co_await node_->start();
  }

  runtime::uv::UvProcess& process_;
  const Config& config_;
  const std::unique_ptr<TlsFiles> tls_files_;  // null: no listener has TLS
  std::unique_ptr<Node> node_;
  runtime::Notification stop_;
  bool asked_to_stop_ = false;
  bool began_ = false;
  std::optional<Error> failed_early_;
  int status_ = 0;
  runtime::Scope watching_;
  runtime::Scope scope_;
};

}  // namespace

int serve(const ServeArguments& arguments) {
  const auto loaded = load(arguments);
  if (!loaded) {
    complain(loaded.error().message);
    return 2;
  }
  const Config& config = loaded->config;
  if (auto whole = check_together(config); !whole) {
    complain(whole.error().message);
    return 2;
  }
  auto first_user = administrator(config);
  if (!first_user) {
    complain(first_user.error().message);
    return 2;
  }
  std::unique_ptr<TlsFiles> tls_files;
  std::shared_ptr<const runtime::tls::Context> tls;
  if (config.tls_wanted()) {
    tls_files = std::make_unique<TlsFiles>(config);
    auto read = tls_files->load();
    if (!read) {
      complain(read.error().message);
      return 2;
    }
    tls = *std::move(read);
  }
  auto rpc_tls = load_rpc_tls(config);
  if (!rpc_tls) {
    complain(rpc_tls.error().message);
    return 2;
  }
  const auto open_files = prepare_open_files();
  if (!open_files) {
    complain(open_files.error().message);
    return 1;
  }
  const std::uint32_t cores = config.cores.value_or(std::max(1U, std::thread::hardware_concurrency()));
  runtime::uv::UvProcess process({.cores = cores, .log_level = config.log_level});
  for (const std::string& warning : loaded->warnings) {
    process.log().write(runtime::LogLevel::kWarn, "server", warning);
  }
  if (*open_files < kEnoughOpenFiles) {
    process.log().write(runtime::LogLevel::kWarn, "server",
                        "only " + std::to_string(*open_files) +
                            " open files are allowed, connections included: raise the limit (ulimit -n, "
                            "LimitNOFILE=)");
  }
  Service service(process, config, *std::move(first_user), std::move(tls_files), std::move(tls),
                  *std::move(rpc_tls));
  process.install_signals([&service](int signal) { service.on_signal(signal); });
  process.run([&service](Runtime& runtime) {
    if (runtime.core() == CoreId(0)) service.start();
  });
  return service.status();
}

}  // namespace stele::server
