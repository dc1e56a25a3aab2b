#include "protocols/amqp/protocol_header.h"

namespace stele::amqp {

namespace {

using Status = HeaderCheck::Status;

struct Dialect {
  std::string_view bytes;  // behind "AMQP"
  std::string_view name;
};

// Identifier, major, minor, revision; the early ones are of another order.
constexpr Dialect kDialects[] = {
    {{"\0\1\0\0", 4}, "AMQP 1.0"},          {{"\3\1\0\0", 4}, "AMQP 1.0 with SASL"},
    {{"\2\1\0\0", 4}, "AMQP 1.0 with TLS"}, {{"\1\1\0\x0A", 4}, "AMQP 0-10"},
    {{"\1\1\0\x09", 4}, "AMQP 0-9"},        {{"\1\1\x08\0", 4}, "AMQP 0-8"},
    {{"\1\1\x09\1", 4}, "AMQP 0-8"},
};

}  // namespace

HeaderCheck check_protocol_header(std::string_view input) {
  constexpr std::string_view kName = "AMQP";
  if (!kName.starts_with(input.substr(0, kName.size()))) return {Status::kOther, "another protocol"};
  if (input.size() < kProtocolHeaderBytes) return {};
  const std::string_view rest = input.substr(kName.size(), kProtocolHeaderBytes - kName.size());
  if (rest == kProtocolHeader.substr(kName.size())) return {Status::kOurs, {}};
  for (const Dialect& dialect : kDialects) {
    if (rest == dialect.bytes) return {Status::kOther, dialect.name};
  }
  return {Status::kOther, "an unknown version of AMQP"};
}

}  // namespace stele::amqp
