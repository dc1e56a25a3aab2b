// What brokers of different nodes say to each other. The first byte says which it is. What is taken makes
// sense: it can be said again, and is understood as before.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/bytes.h"
#include "broker/peer_codec.h"
#include "broker/testing/peer_samples.h"
#include "rpc/payload.h"

namespace {

using namespace stele;                // NOLINT: a program of its own
using namespace stele::broker;        // NOLINT
using namespace stele::broker::wire;  // NOLINT

std::string joined(const rpc::Payload& payload) {
  std::string all;
  for (const Bytes& slice : payload.slices()) all += slice.view();
  return all;
}

template <class T>
void hear(std::string_view input) {
  const auto heard = decode<T>(Bytes::copy(input));
  if (!heard) return;
  const std::string said = joined(encode(*heard));
  const auto again = decode<T>(Bytes::copy(said));
  STELE_ASSERT(again && same(*again, *heard));
  STELE_ASSERT(joined(encode(*again)) == said);
}

// Each message of it can be looked at.
void look_at(std::string_view input) {
  auto bundle = LiveBundle::from(Bytes::copy(input));
  if (!bundle) return;
  std::size_t bytes = 0;
  std::move(*bundle).for_each([&](TenantId, std::uint64_t, const MessageView& message, const Bytes& owner) {
    bytes += message.address.size() + owner.slice(message.payload).size();
  });
  STELE_ASSERT(bytes <= input.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 65536) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'p':
      hear<DataMail>(input);
      break;
    case 'q':
      hear<DataAnswerMail>(input);
      break;
    case 'f':
      hear<ForwardMail>(input);
      break;
    case 'g':
      hear<ForwardAnswerMail>(input);
      break;
    case 'l':
      hear<Live>(input);
      break;
    case 'b':
      look_at(input);
      break;
    case 'i':
      hear<Items>(input);
      break;
    case 's':
      hear<Settle>(input);
      break;
    case 'a':
      hear<SessionAsk>(input);
      break;
    case 'z':
      hear<SessionAnswer>(input);
      break;
    case 'r':
      hear<RouteBatch>(input);
      break;
    default:
      hear<RouteBatchAnswer>(input);
  }
  return 0;
}
