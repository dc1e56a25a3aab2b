#include "server/cluster_file.h"

#include <charconv>
#include <cstdio>
#include <utility>

#include "base/crc32c.h"

namespace stele::server {

using runtime::Task;

namespace {

constexpr std::string_view kFirstLine = "stele cluster member, format 1\n";
constexpr std::string_view kFirstWords = "stele cluster member, format ";
constexpr std::string_view kCheck = "check ";
constexpr std::size_t kMaxBytes = std::size_t{1} << 20;
constexpr std::pair<std::string_view, ClusterFile::State> kStates[] = {
    {"founding", ClusterFile::State::kFounding},
    {"joining", ClusterFile::State::kJoining},
    {"member", ClusterFile::State::kMember},
};

std::string path_of(const std::string& data) {
  return data + "/cluster";
}

std::string check_line(std::string_view text) {
  char hex[16];
  std::snprintf(hex, sizeof hex, "%08x", crc32c(text));
  return std::string(kCheck) + hex + "\n";
}

std::unexpected<Error> corrupt(const std::string& what) {
  return error(ErrorCode::kCorrupt, "the file 'cluster': " + what);
}

Result<NodeId> parse_node(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size())
    return corrupt("'" + std::string(text) + "' is no node");
  return NodeId(value);
}

// One line behind the first.
Result<void> take_line(std::string_view line, ClusterFile& to) {
  const std::size_t space = line.find(' ');
  const std::string_view key = line.substr(0, space);
  const std::string_view value = space == std::string_view::npos ? "" : line.substr(space + 1);
  const auto uuid = [&](Uuid& place) -> Result<void> {
    const auto parsed = Uuid::parse(value);
    if (!parsed) return corrupt("'" + std::string(value) + "' is no id");
    place = *parsed;
    return {};
  };
  if (key == "cluster") return uuid(to.cluster);
  if (key == "directory") return uuid(to.directory);
  if (key == "state") {
    for (const auto& [name, state] : kStates) {
      if (value != name) continue;
      to.state = state;
      return {};
    }
    return corrupt("'" + std::string(value) + "' is no state");
  }
  if (key == "node") {
    STELE_TRY(to.node, parse_node(value));
  } else if (key == "founder") {
    STELE_TRY(const NodeId node, parse_node(value));
    to.founders.insert(node);
  } else if (key == "peer") {
    const std::size_t end = value.find(' ');
    if (end == std::string_view::npos) return corrupt("a peer without an address");
    STELE_TRY(const NodeId node, parse_node(value.substr(0, end)));
    STELE_TRY(to.peers[node], runtime::parse_endpoint(value.substr(end + 1)));
  } else {
    return corrupt("'" + std::string(key) + "' is nothing that is known");
  }
  return {};
}

}  // namespace

std::string encode(const ClusterFile& from) {
  std::string out(kFirstLine);
  for (const auto& [name, state] : kStates) {
    if (state == from.state) out += "state " + std::string(name) + "\n";
  }
  out += "node " + std::to_string(from.node.value) + "\n";
  out += "directory " + from.directory.to_string() + "\n";
  if (!from.cluster.is_zero()) out += "cluster " + from.cluster.to_string() + "\n";
  for (const NodeId node : from.founders) out += "founder " + std::to_string(node.value) + "\n";
  for (const auto& [node, at] : from.peers)
    out += "peer " + std::to_string(node.value) + " " + at.to_string() + "\n";
  return out + check_line(out);
}

Result<ClusterFile> decode_cluster_file(std::string_view from) {
  if (!from.starts_with(kFirstLine)) {
    if (!from.starts_with(kFirstWords)) return corrupt("it is not what Stele writes there");
    return error(ErrorCode::kUnsupported, "the file 'cluster' was written by a newer version of Stele");
  }
  const std::size_t check = from.rfind(kCheck);
  if (check == std::string_view::npos || from.substr(check) != check_line(from.substr(0, check)))
    return corrupt("its checksum does not match");
  ClusterFile out;
  std::string_view rest = from.substr(0, check).substr(kFirstLine.size());
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    STELE_CHECK(take_line(rest.substr(0, end), out));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  const bool joins = out.state == ClusterFile::State::kJoining;
  if (out.directory.is_zero() || (!joins && (out.cluster.is_zero() || out.founders.empty())))
    return corrupt("it is not complete");
  return out;
}

Task<Result<std::optional<ClusterFile>>> read_cluster_file(runtime::Files& files, std::string data) {
  auto file = co_await files.open(path_of(data), {});
  if (!file) {
    if (file.error().code == ErrorCode::kNotFound) co_return std::nullopt;
    co_return std::unexpected(file.error());
  }
  STELE_CO_TRY(const Bytes text, co_await (*file)->read(Position(0), kMaxBytes));
  STELE_CO_CHECK(co_await (*file)->close());
  auto decoded = decode_cluster_file(text.view());
  if (!decoded) co_return std::unexpected(decoded.error().with_context(data));
  co_return *std::move(decoded);
}

Task<Result<void>> write_cluster_file(runtime::Files& files, std::string data, ClusterFile file) {
  const std::string part = path_of(data) + ".part";
  STELE_CO_TRY(auto fresh, co_await files.open(part, {.mode = runtime::OpenMode::kCreate}));
  STELE_CO_CHECK(co_await fresh->truncate(0));
  STELE_CO_CHECK(co_await fresh->write_and_sync(Position(0), {Bytes::copy(encode(file))}));
  STELE_CO_CHECK(co_await fresh->close());
  STELE_CO_CHECK(co_await files.rename(part, path_of(data)));
  co_return co_await files.sync_directory(data);
}

}  // namespace stele::server
