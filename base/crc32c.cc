#include "base/crc32c.h"

#include <isa-l/crc.h>

namespace stele {

std::uint32_t crc32c(std::string_view data, std::uint32_t crc) {
  // ISA-L takes int lengths; feed it in pieces below 1 GiB.
  constexpr std::size_t kPiece = std::size_t{1} << 30;
  std::uint32_t state = ~crc;
  while (!data.empty()) {
    std::string_view piece = data.substr(0, kPiece);
    auto* bytes = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(piece.data()));
    state = crc32_iscsi(bytes, static_cast<int>(piece.size()), state);
    data.remove_prefix(piece.size());
  }
  return ~state;
}

}  // namespace stele
