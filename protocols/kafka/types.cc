#include "protocols/kafka/types.h"

namespace stele::kafka {

std::size_t Records::size() const {
  std::size_t total = 0;
  for (const Bytes& slice : slices_) total += slice.size();
  return total;
}

std::string Records::flatten() const {
  std::string out;
  out.reserve(size());
  for (const Bytes& slice : slices_) out.append(slice.view());
  return out;
}

}  // namespace stele::kafka
