#include "storage/durable_directory.h"

#include <utility>

namespace stele::storage {
namespace {

// "" above the root, and above the first part of a relative path.
std::string above(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return path == "." ? "" : ".";
  if (slash == 0) return path == "/" ? "" : "/";
  return path.substr(0, slash);
}

}  // namespace

runtime::Task<Result<void>> make_durable_directory(runtime::Files& files, std::string path) {
  // The first that is there already; its entry was, as far as can be known, somebody else's to make durable.
  std::string there = path;
  for (;;) {
    auto listed = co_await files.list(there);
    if (listed || listed.error().code != ErrorCode::kNotFound) break;
    there = above(there);
    if (there.empty()) break;
  }
  STELE_CO_CHECK(co_await files.make_directory(path));
  bool ours = true;
  for (std::string directory = above(path); !directory.empty(); directory = above(directory)) {
    auto synced = co_await files.sync_directory(directory);
    if (!synced && (ours || directory == above(path))) co_return synced;
    if (directory == there) ours = false;
  }
  co_return Result<void>();
}

}  // namespace stele::storage
