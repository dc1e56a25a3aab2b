#include "sim/tries.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "sim/scenario.h"
#include "sim/shrink.h"

namespace stele::sim {
namespace {

struct Child {
  pid_t pid = -1;
  int said = -1;
};

// What it writes: nothing if all is well; how it failed; or what an assertion says, which then ends it.
[[noreturn]] void be_child(const Case& of, std::chrono::seconds limit, int pipe) {
  alarm(static_cast<unsigned>(limit.count()));
  if (std::freopen("/dev/null", "w", stdout) == nullptr) _exit(0);
  dup2(pipe, STDERR_FILENO);
  const ScenarioResult result = run_case(of);
  if (!result.ok) {
    const std::string kind = kind_of_failure(result.why);
    if (write(pipe, kind.data(), kind.size()) < 0) _exit(0);
  }
  _exit(0);
}

std::string read_all(int from) {
  std::string out;
  char some[4096];
  for (ssize_t got = 0; (got = read(from, some, sizeof some)) > 0;)
    out.append(some, static_cast<std::size_t>(got));
  close(from);
  return out;
}

}  // namespace

std::vector<std::optional<std::string>> try_cases(const std::vector<Case>& cases,
                                                  std::chrono::seconds limit) {
  std::vector<Child> children;
  std::fflush(nullptr);
  for (const Case& of : cases) {
    int ends[2];
    if (pipe(ends) != 0) std::abort();
    const pid_t pid = fork();
    if (pid < 0) std::abort();
    if (pid == 0) {
      close(ends[0]);
      be_child(of, limit, ends[1]);
    }
    close(ends[1]);
    children.push_back({pid, ends[0]});
  }
  std::vector<std::optional<std::string>> out;
  for (const Child& child : children) {
    std::string said = read_all(child.said);
    int status = 0;
    waitpid(child.pid, &status, 0);
    const bool died = WIFSIGNALED(status) && WTERMSIG(status) != SIGALRM;
    if (died) {
      // Its first line says which assertion it was; a fault of memory says nothing.
      out.emplace_back("ended by signal " + std::to_string(WTERMSIG(status)) + " " +
                       kind_of_failure(said.substr(0, said.find('\n'))));
    } else if (!said.empty() && !WIFSIGNALED(status)) {
      out.emplace_back(std::move(said));
    } else {
      out.emplace_back(std::nullopt);
    }
  }
  return out;
}

}  // namespace stele::sim
