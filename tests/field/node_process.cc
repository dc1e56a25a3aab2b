#include "tests/field/node_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/assert.h"
#include "tests/field/core_pause.h"

namespace stele::field {

namespace {

std::optional<std::uint16_t> port_of(std::string_view line, std::string_view name) {
  const std::string before = " " + std::string(name) + "=127.0.0.1:";
  const std::size_t at = line.find(before);
  if (at == std::string_view::npos) return std::nullopt;
  const char* const digits = line.data() + at + before.size();
  std::uint16_t port = 0;
  const auto [end, failure] = std::from_chars(digits, line.data() + line.size(), port);
  if (failure != std::errc() || end == digits) return std::nullopt;
  return port;
}

// In the child, between fork and exec: only what is safe there.
[[noreturn]] void become(const std::vector<char*>& argv, const std::vector<char*>& environment, int out,
                         int log) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::dup2(out, 1);
  ::dup2(log, 2);
  ::signal(SIGPIPE, SIG_DFL);
  ::signal(SIGXFSZ, SIG_DFL);
  ::execve(argv[0], argv.data(), environment.data());
  ::_exit(127);
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> out;
  out.reserve(words.size() + 1);
  for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
  out.push_back(nullptr);
  return out;
}

}  // namespace

std::optional<Ports> parse_ready(const std::string& line) {
  if (!line.starts_with("ready ") || line.find('\n') == std::string::npos) return std::nullopt;
  const auto mqtt = port_of(line, "mqtt"), kafka = port_of(line, "kafka"), http = port_of(line, "http");
  if (!mqtt || !kafka || !http) return std::nullopt;
  return Ports{*mqtt, *kafka, *http};
}

NodeProcess::~NodeProcess() {
  end_at_once();
}

pid_t NodeProcess::end_at_once() {
  if (!running()) return -1;
  signal(SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  return std::exchange(pid_, -1);
}

Result<void> NodeProcess::start(const std::vector<std::string>& argv,
                                const std::vector<std::string>& environment) {
  STELE_ASSERT(!running());
  const int out = ::open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const int log = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (out < 0 || log < 0)
    return error(ErrorCode::kUnavailable, out_ + " and " + log_ + ": " + std::strerror(errno));
  std::vector<std::string> variables = environment;
  for (char** variable = environ; *variable != nullptr; ++variable) variables.emplace_back(*variable);
  const std::vector<char*> words = pointers(argv), all = pointers(variables);
  pid_ = ::fork();
  if (pid_ == 0) become(words, all, out, log);
  ::close(out);
  ::close(log);
  if (pid_ < 0) return error(ErrorCode::kUnavailable, std::string("fork: ") + std::strerror(errno));
  ++starts_;
  return {};
}

std::optional<NodeProcess::Ended> NodeProcess::look() {
  int status = 0;
  if (!running() || ::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  const pid_t process = std::exchange(pid_, -1);
  if (WIFSIGNALED(status)) return Ended{-1, WTERMSIG(status), process};
  return Ended{WEXITSTATUS(status), 0, process};
}

std::string NodeProcess::Ended::to_string() const {
  return signal != 0 ? "signal " + std::to_string(signal) : "status " + std::to_string(status);
}

std::optional<Ports> NodeProcess::ready() {
  std::ifstream file(out_);
  std::string line;
  if (!std::getline(file, line) || file.eof()) return std::nullopt;
  return parse_ready(line + "\n");
}

bool NodeProcess::pause_core(std::uint64_t number, std::chrono::milliseconds how_long) const {
  if (!running()) return false;
  std::vector<pid_t> cores = {pid_};  // core 0 is the first thread
  std::error_code failure;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid_) + "/task", failure)) {
    std::string name;
    std::ifstream(entry.path() / "comm") >> name;
    if (name.starts_with("core-")) cores.push_back(std::stoi(entry.path().filename()));
  }
  std::ranges::sort(cores);
  siginfo_t info{};
  info.si_signo = core_pause_signal();
  info.si_code = SI_QUEUE;
  info.si_pid = ::getpid();
  info.si_uid = ::getuid();
  info.si_value.sival_int = static_cast<int>(how_long.count());
  return ::syscall(SYS_rt_tgsigqueueinfo, pid_, cores[number % cores.size()], info.si_signo, &info) == 0;
}

void NodeProcess::signal(int number) const {
  if (running()) ::kill(pid_, number);
}

}  // namespace stele::field
