// What only the libuv backend has: threads, signals, descriptors, the real kernel.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/assert.h"
#include "runtime/conformance_peer.h"
#include "runtime/scope.h"
#include "runtime/uv/process_stats.h"
#include "runtime/uv/uv_process.h"

namespace stele::runtime::uv {
namespace {

using namespace std::chrono_literals;

// Runs `body` on core 0 and stops the process when it is done.
Task<void> run_and_stop(UvProcess* process, Task<void> body) {
  co_await std::move(body);
  process->stop();
}

void run_body(UvProcess& process, Task<void> (*body)(UvProcess*)) {
  Scope scope;
  process.run([&](Runtime& runtime) {
    if (runtime.core() == CoreId(0)) scope.spawn(run_and_stop(&process, body(&process)));
  });
  EXPECT_EQ(scope.running(), 0u);
}

// --- The process

TEST(UvProcess, RunsEachCoreOnItsThreadAndMayRunAgain) {
  UvProcess process({.cores = 3});
  for (int round = 0; round < 2; ++round) {
    std::atomic<int> started = 0;
    std::vector<pid_t> threads(3);
    process.run([&](Runtime& runtime) {
      threads[runtime.core().value] = ::gettid();
      if (++started == 3) process.stop();
    });
    EXPECT_EQ(threads[0], ::gettid());
    EXPECT_NE(threads[1], threads[0]);
    EXPECT_NE(threads[2], threads[1]);
  }
}

TEST(UvProcess, SignalsAreCallsOnCoreZero) {
  UvProcess process({.cores = 2});
  std::vector<int> signals;
  process.install_signals([&](int signal) {
    signals.push_back(signal);
    EXPECT_EQ(::gettid(), ::getpid());
    if (signals.size() == 1) {
      ::kill(::getpid(), SIGINT);
    } else {
      process.stop();
    }
  });
  process.run([&](Runtime& runtime) {
    if (runtime.core() == CoreId(1)) ::kill(::getpid(), SIGTERM);
  });
  EXPECT_EQ(signals, (std::vector<int>{SIGTERM, SIGINT}));
}

TEST(UvProcess, ASeedGivesTheSameRandomNumbers) {
  const auto draw = [](std::optional<std::uint64_t> seed, std::uint32_t core) {
    UvProcess process({.cores = 2, .seed = seed});
    return process.core(CoreId(core)).random().next();
  };
  EXPECT_EQ(draw(7, 0), draw(7, 0));
  EXPECT_NE(draw(7, 0), draw(7, 1));
  EXPECT_NE(draw(std::nullopt, 0), draw(std::nullopt, 0));
}

TEST(UvProcess, ItsEndWaitsForJobsAndDropsWhatWouldFollow) {
  std::atomic<int> jobs = 0;
  int completions = 0;
  auto dropped = std::make_shared<int>();
  {
    UvProcess process({.cores = 2});
    process.run([&](Runtime& runtime) {
      if (runtime.core() != CoreId(0)) return;
      process.stop();
      for (int i = 0; i < 20; ++i) {
        runtime.offload([&](BlockingFiles&) { ++jobs; }, [&completions] { ++completions; });
      }
      runtime.post(CoreId(0), [dropped] {});
      runtime.post(CoreId(1), [dropped] {});
    });
    completions = 0;
  }
  EXPECT_EQ(jobs, 20);
  EXPECT_EQ(completions, 0);
  EXPECT_EQ(dropped.use_count(), 1);
}

Task<void> write_forever(File* file) {
  for (std::uint64_t i = 0;; ++i) {
    std::vector<Bytes> slices;
    slices.push_back(Bytes::copy("block"));
    if (!co_await file->write_and_sync(Position(i * 5), std::move(slices))) co_return;
  }
}

Task<void> open_log(Runtime* runtime, std::string path, std::unique_ptr<File>* file) {
  auto opened = co_await runtime->files().open(path, {OpenMode::kCreate, true});
  STELE_REQUIRE(opened);
  *file = std::move(*opened);
}

TEST(UvProcess, EndsWithFilesOpenAndTheirCallsUnderWay) {
  UvProcess process({});
  std::unique_ptr<File> file;
  Scope scope;
  const std::string path = testing::TempDir() + "/log";
  process.run([&](Runtime& runtime) {
    scope.spawn([](UvProcess* process, Runtime* runtime, std::string path, std::unique_ptr<File>* file,
                   Scope* scope) -> Task<void> {
      co_await open_log(runtime, path, file);
      scope->spawn(write_forever(file->get()));
      process->stop();
    }(&process, &runtime, path, &file, &scope));
  });
  EXPECT_EQ(scope.running(), 1u);
}

// --- Connections

Task<void> share_port_body(UvProcess* process) {
  Runtime& rt = process->core(CoreId(0));
  struct OnCore {
    Acceptor acceptor;
    std::unique_ptr<Listener> listener;
  };
  std::vector<OnCore> cores(process->core_count());
  auto first = rt.network().listen({"127.0.0.1", 0}, {.share_port = true}, cores[0].acceptor);
  STELE_REQUIRE(first);
  const Endpoint at = (*first)->local();
  cores[0].listener = std::move(*first);
  std::atomic<std::uint32_t> listening = 1;
  for (std::uint32_t i = 1; i < cores.size(); ++i) {
    rt.post(CoreId(i), [&, i] {
      auto listener = process->core(CoreId(i)).network().listen(at, {.share_port = true}, cores[i].acceptor);
      STELE_ASSERT(listener);
      cores[i].listener = std::move(*listener);
      ++listening;
    });
  }
  EXPECT_TRUE(co_await until(rt, [&] { return listening == cores.size(); }));
  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 400; ++i) {
    clients.push_back(std::make_unique<Peer>());
    STELE_REQUIRE(co_await dial(rt, at, clients.back().get()));
  }
  // Each core counts, and lets go of what is its own.
  std::vector<std::size_t> accepted(cores.size());
  std::atomic<std::uint32_t> counted = 0;
  EXPECT_TRUE(co_await until(rt, [&] {
    return std::ranges::all_of(clients, [](auto& client) { return client->times_closed == 0; });
  }));
  for (std::uint32_t i = 0; i < cores.size(); ++i) {
    rt.post(CoreId(i), [&, i] {
      cores[i].listener.reset();
      accepted[i] = cores[i].acceptor.peers.size();
      cores[i].acceptor.peers.clear();
      ++counted;
    });
  }
  EXPECT_TRUE(co_await until(rt, [&] { return counted == cores.size(); }));
  std::size_t all = 0;
  for (const std::size_t count : accepted) {
    EXPECT_GT(count, 0u);
    all += count;
  }
  EXPECT_LE(all, 400u);  // one may still have been in a queue
  EXPECT_GE(all, 390u);
}

TEST(UvNetwork, TheKernelSpreadsConnectionsOverCoresThatShareAPort) {
  UvProcess process({.cores = 4});
  run_body(process, share_port_body);
}

// A connection that does nothing but count.
struct Idle : ConnectionHandler {
  std::unique_ptr<Connection> connection;
  std::size_t* bytes;
  explicit Idle(std::size_t* bytes) : bytes(bytes) {}
  void on_data(Bytes data) override { *bytes += data.size(); }
  void on_closed(const Error&) override { connection.reset(); }
};

struct IdleAcceptor : AcceptHandler {
  std::vector<std::unique_ptr<Idle>> accepted;
  std::size_t bytes = 0;
  void on_accept(std::unique_ptr<Connection> connection) override {
    accepted.push_back(std::make_unique<Idle>(&bytes));
    accepted.back()->connection = std::move(connection);
    accepted.back()->connection->start(*accepted.back());
  }
};

Task<void> many_connections_body(UvProcess* process) {
  Runtime& rt = process->core(CoreId(0));
  const auto limit = raise_open_files_limit();
  STELE_REQUIRE(limit);
  const std::size_t count = std::min<std::size_t>(4000, (*limit - 100) / 2);
  IdleAcceptor acceptor;
  auto listener = rt.network().listen({"127.0.0.1", 0}, {}, acceptor);
  STELE_REQUIRE(listener);
  std::vector<std::unique_ptr<Idle>> clients;
  std::size_t client_bytes = 0;
  clients.reserve(count);
  acceptor.accepted.reserve(count);
  const std::size_t before = ::mallinfo2().uordblks;
  for (std::size_t i = 0; i < count; ++i) {
    auto connection = co_await rt.network().connect((*listener)->local(), 30s, {});
    STELE_REQUIRE(connection);
    clients.push_back(std::make_unique<Idle>(&client_bytes));
    clients.back()->connection = std::move(*connection);
    clients.back()->connection->start(*clients.back());
  }
  EXPECT_TRUE(co_await until(rt, [&] { return acceptor.accepted.size() == count; }));
  for (auto& client : clients) client->connection->write("a few bytes");
  EXPECT_TRUE(co_await until(rt, [&] { return acceptor.bytes == count * 11; }));
  for (auto& server : acceptor.accepted) server->connection->write("some more bytes");
  EXPECT_TRUE(co_await until(rt, [&] { return client_bytes == count * 15; }));
#if !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
  // Two connections each; what the core lends (its slab, its pool of outputs) is not theirs.
  const std::size_t lent = 6 << 20;
  const std::size_t now = ::mallinfo2().uordblks;
  EXPECT_LT((now - before - std::min(now - before, lent)) / (2 * count), 1024u);
#else
  EXPECT_GE(before, 0u);
#endif
  clients.clear();
  EXPECT_TRUE(co_await until(rt, [&] {
    return std::ranges::all_of(acceptor.accepted, [](auto& server) { return !server->connection; });
  }));
}

TEST(UvNetwork, ManyIdleConnectionsTakeLittle) {
  UvProcess process({});
  run_body(process, many_connections_body);
}

// A socket of the kernel's, to do what our own never does.
struct RawClient {
  explicit RawClient(const Endpoint& to) : descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(to.port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    STELE_ASSERT(::connect(descriptor, reinterpret_cast<sockaddr*>(&at), sizeof(at)) == 0);
  }
  ~RawClient() { close(); }
  void close() {
    if (descriptor >= 0) ::close(descriptor);
    descriptor = -1;
  }
  void send(std::string_view bytes) {
    STELE_ASSERT(::send(descriptor, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  }
  std::string receive_all() {
    std::string all(1000, '\0');
    std::size_t size = 0;
    while (size < all.size()) {
      const ssize_t got = ::recv(descriptor, all.data() + size, all.size() - size, MSG_DONTWAIT);
      if (got <= 0) break;
      size += static_cast<std::size_t>(got);
    }
    all.resize(size);
    return all;
  }
  int descriptor;
};

// The last descriptors are for other things; with room again connections are taken again.
Task<void> last_descriptors_body(UvProcess* process) {
  Runtime& rt = process->core(CoreId(0));
  IdleAcceptor acceptor;
  auto listener = rt.network().listen({"127.0.0.1", 0}, {}, acceptor);
  STELE_REQUIRE(listener);
  const auto connected = [&] {
    return std::ranges::count_if(acceptor.accepted, [](auto& one) { return one->connection != nullptr; });
  };
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 110; ++i) {
    clients.push_back(std::make_unique<RawClient>((*listener)->local()));
    EXPECT_TRUE(co_await runtime::sleep(rt, 1ms));
  }
  char byte;
  EXPECT_EQ(::recv(clients.back()->descriptor, &byte, 1, 0), 0) << "refused";
  EXPECT_GT(connected(), 70);
  EXPECT_LT(connected(), 100);
  clients.clear();
  EXPECT_TRUE(co_await until(rt, [&] { return connected() == 0; }));
  RawClient late((*listener)->local());
  EXPECT_TRUE(co_await until(rt, [&] { return connected() == 1; }));
}

TEST(UvNetwork, TheLastDescriptorsAreForOtherThings) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{256, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  {
    UvProcess process({});
    run_body(process, last_descriptors_body);
  }
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

Task<void> reset_body(UvProcess* process) {
  Runtime& rt = process->core(CoreId(0));
  Acceptor acceptor;
  auto listener = rt.network().listen({"127.0.0.1", 0}, {}, acceptor);
  STELE_REQUIRE(listener);
  RawClient client((*listener)->local());
  EXPECT_TRUE(co_await until(rt, [&] { return acceptor.peers.size() == 1; }));
  const linger reset{1, 0};
  ::setsockopt(client.descriptor, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  client.close();
  Peer& server = *acceptor.peers[0];
  EXPECT_TRUE(co_await until(rt, [&] { return server.times_closed == 1; }));
  EXPECT_EQ(server.closed->code, ErrorCode::kClosed);
  EXPECT_NE(server.closed->message.find("127.0.0.1:"), std::string::npos) << server.closed->message;
}

TEST(UvNetwork, AResetIsTheEndOfTheConnection) {
  UvProcess process({});
  run_body(process, reset_body);
}

Task<void> last_words_body(UvProcess* process) {
  Runtime& rt = process->core(CoreId(0));
  Acceptor acceptor;
  acceptor.prepare = [](Peer& peer) { peer.echo = true; };
  auto listener = rt.network().listen({"127.0.0.1", 0}, {}, acceptor);
  STELE_REQUIRE(listener);
  RawClient client((*listener)->local());
  client.send("a question");
  ::shutdown(client.descriptor, SHUT_WR);
  EXPECT_TRUE(
      co_await until(rt, [&] { return acceptor.peers.size() == 1 && acceptor.peers[0]->times_closed == 1; }));
  EXPECT_EQ(client.receive_all(), "a question");

  // Bytes that came before a peer went away are read even though writing to it fails first.
  RawClient leaving((*listener)->local());
  EXPECT_TRUE(co_await until(rt, [&] { return acceptor.peers.size() == 2; }));
  Peer& server = *acceptor.peers[1];
  server.echo = false;
  server.connection->write("never read");
  co_await sleep(rt, 2ms);
  leaving.send("last words");
  leaving.close();  // with bytes unread: the kernel sends a reset
  server.connection->write("too late");
  EXPECT_TRUE(co_await until(rt, [&] { return server.times_closed == 1; }));
  EXPECT_EQ(server.closed->code, ErrorCode::kClosed);
}

TEST(UvNetwork, LastWordsAreHeardAndAnswered) {
  UvProcess process({});
  run_body(process, last_words_body);
}

Task<void> addresses_body(UvProcess* process) {
  Network& network = process->core(CoreId(0)).network();
  Acceptor acceptor;
  EXPECT_EQ(network.listen({"not an address", 1}, {}, acceptor).error().code, ErrorCode::kInvalidArgument);
  auto local = network.listen({"localhost", 0}, {}, acceptor);
  STELE_REQUIRE(local);
  EXPECT_EQ((*local)->local().host, "127.0.0.1");
  auto v6 = network.listen({"::1", 0}, {}, acceptor);
  if (v6) {  // where the machine has it
    Peer client;
    EXPECT_TRUE(co_await dial(process->core(CoreId(0)), (*v6)->local(), &client));
    EXPECT_EQ(client.connection->remote().host, "::1");
  }
  // By its name, which may mean ::1 first, where nobody listens.
  Peer by_name;
  EXPECT_TRUE(co_await dial(process->core(CoreId(0)), {"localhost", (*local)->local().port}, &by_name));
  EXPECT_EQ(by_name.connection->remote(), (*local)->local());
}

TEST(UvNetwork, AddressesOfBothKinds) {
  UvProcess process({});
  run_body(process, addresses_body);
}

// --- Files

Task<void> full_disk_body(UvProcess* process) {
  Files& files = process->core(CoreId(0)).files();
  for (bool own_thread : {false, true}) {
    auto file = co_await files.open("/dev/full", {OpenMode::kReadWrite, own_thread});
    STELE_REQUIRE(file);
    std::vector<Bytes> slices;
    slices.push_back(Bytes::literal("anything"));
    const auto written = co_await (*file)->write_and_sync(Position(0), slices);
    EXPECT_EQ(code_of(written), ErrorCode::kNoSpace);
    EXPECT_EQ(written.error().message, "writing /dev/full: no space left on device");
  }
  auto forbidden = co_await files.open("/proc/self/nothing", {OpenMode::kCreate});
  EXPECT_FALSE(forbidden);
}

TEST(UvFiles, AFullDiskIsNoSpace) {
  UvProcess process({});
  run_body(process, full_disk_body);
}

Task<void> limited_file_body(UvProcess* process) {
  Files& files = process->core(CoreId(0)).files();
  auto file = co_await files.open(testing::TempDir() + "/limited", {OpenMode::kCreateNew, true});
  STELE_REQUIRE(file);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit limit{10'000, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &limit);
  const Bytes block = Bytes::copy(std::string(3000, 'b'));
  const auto written = co_await (*file)->write(Position(0), std::vector<Bytes>(5, block));
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(code_of(written), ErrorCode::kNoSpace);
  EXPECT_EQ(*co_await (*file)->size(), 10'000u);
  EXPECT_TRUE(co_await (*file)->write(Position(0), std::vector<Bytes>(5, block)));
  EXPECT_EQ(*co_await (*file)->size(), 15'000u);
}

TEST(UvFiles, AShortWriteGoesOnUntilAllIsWrittenOrFails) {
  UvProcess process({});
  run_body(process, limited_file_body);
}

// --- Log and stats

TEST(StderrLog, WritesLinesThatCannotBeForged) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  {
    UvProcess process({.log_level = LogLevel::kInfo, .log_descriptor = ends[1]});
    EXPECT_FALSE(process.log().enabled(LogLevel::kDebug));
    EXPECT_TRUE(process.log().enabled(LogLevel::kError));
    process.log().write(LogLevel::kDebug, "mqtt", "not shown");
    process.log().write(LogLevel::kWarn, "mqtt", "client 'a\nb\x1b' is gone \xc3\xa9");
  }
  ::close(ends[1]);
  char text[200];
  const ssize_t size = ::read(ends[0], text, sizeof(text));
  ::close(ends[0]);
  ASSERT_GT(size, 0);
  const std::string line(text, static_cast<std::size_t>(size));
  EXPECT_EQ(line.substr(24), " WARN  mqtt: client 'a\\x0ab\\x1b' is gone \xc3\xa9\n");
  EXPECT_EQ(line[10], 'T');
  EXPECT_EQ(line[23], 'Z');
}

TEST(ProcessStats, TellsWhatTheProcessTakes) {
  const auto before = process_stats();
  ASSERT_TRUE(before) << before.error().to_string();
  EXPECT_GT(before->resident_bytes, 100'000u);
  EXPECT_GE(before->virtual_bytes, before->resident_bytes);
  EXPECT_GE(before->threads, 1u);
  EXPECT_GT(before->open_files_max, before->open_files);
  EXPECT_GT(before->started_at_ms, 0);
  const int descriptor = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const auto after = process_stats();
  ::close(descriptor);
  ASSERT_TRUE(after);
  EXPECT_EQ(after->open_files, before->open_files + 1);
  EXPECT_GE(after->cpu_user + after->cpu_system, before->cpu_user + before->cpu_system);
}

}  // namespace
}  // namespace stele::runtime::uv
