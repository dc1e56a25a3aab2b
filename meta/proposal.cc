#include "meta/proposal.h"

#include "base/wire.h"

namespace stele::meta {
namespace {

// docs/formats/meta-commands.md: version, id, seen, command.
constexpr char kVersion = 1;
constexpr std::size_t kHeader = 1 + 16 + 8;

}  // namespace

std::string encode_proposal(const Proposal& proposal) {
  std::string out(kHeader, '\0');
  out[0] = kVersion;
  store_le(out.data() + 1, proposal.id.high);
  store_le(out.data() + 9, proposal.id.low);
  store_le(out.data() + 17, proposal.seen);
  return out += proposal.command;
}

Result<Proposal> decode_proposal(std::string_view bytes) {
  if (bytes.empty() || bytes[0] == 0) return error(ErrorCode::kMalformed, "no proposal of a meta service");
  if (bytes[0] != kVersion) return error(ErrorCode::kUnsupported, "a proposal of a newer meta service");
  if (bytes.size() <= kHeader) return error(ErrorCode::kMalformed, "a proposal of a meta service is cut off");
  return Proposal{.command = std::string(bytes.substr(kHeader)),
                  .id = {load_le<std::uint64_t>(bytes.data() + 1), load_le<std::uint64_t>(bytes.data() + 9)},
                  .seen = load_le<std::uint64_t>(bytes.data() + 17)};
}

}  // namespace stele::meta
