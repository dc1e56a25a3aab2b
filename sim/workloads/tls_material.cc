#include "sim/workloads/tls_material.h"

#include <cstring>
#include <utility>

// Deprecated in favour of providers, which have no source of random bytes that is not built into them.
#define OPENSSL_API_COMPAT 0x10100000L
#include <openssl/rand.h>

#include "base/assert.h"
#include "runtime/random.h"

namespace stele::sim {

namespace {

// Ed25519, from 2000 to 2100: OpenSSL looks at the real clock. Made once, with `openssl ca`; of no worth to
// anybody.
constexpr const char* kAuthority = R"(-----BEGIN CERTIFICATE-----
MIIBCjCBvaADAgECAgEBMAUGAytlcDAUMRIwEAYDVQQDDAlhdXRob3JpdHkwIBcN
MDAwMTAxMDAwMDAwWhgPMjEwMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMMCWF1dGhv
cml0eTAqMAUGAytlcAMhAOQAiFiokSJSs3Aq/odM49FAGBjYXPfrAP/meZ/grLak
ozIwMDAPBgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBQZ9qrQq9xOkzXnpC84QW5w
hz3eXjAFBgMrZXADQQCWDLVoIBq5H9qGGa0nmfAJgYt6zJ7AzRDDSvhSo7lmbHu6
dLO4pHrYKIZ/8Yq6LBRQA8R57nJgZT5nT9AdzskE
-----END CERTIFICATE-----
)";

constexpr const char* kNode = R"(-----BEGIN CERTIFICATE-----
MIIBJjCB2aADAgECAgECMAUGAytlcDAUMRIwEAYDVQQDDAlhdXRob3JpdHkwIBcN
MDAwMTAxMDAwMDAwWhgPMjEwMDAxMDEwMDAwMDBaMA8xDTALBgNVBAMMBG5vZGUw
KjAFBgMrZXADIQDbstu6s2noXOIrAj8bcZPmkTSX4QHE/te2ShF2ZiwtVaNTMFEw
DwYDVR0RBAgwBoIEbm9kZTAdBgNVHQ4EFgQUMAGnI0v9OShH/ma/mMKhXpd5qyUw
HwYDVR0jBBgwFoAUGfaq0KvcTpM156QvOEFucIc93l4wBQYDK2VwA0EAZhaXHC+h
dCQV5FYqO4MWzxSNSnY4BUWSHPWsxLhuxEAY8xHNkFyuv3q/1q16/HSrbS34/V7W
Gyff4G08ox8jDA==
-----END CERTIFICATE-----
)";
constexpr const char* kNodeKey = R"(-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIBagRVxbXkPt5vUOCbOFUbZhLhND/mHaDkYn66KtGH3S
-----END PRIVATE KEY-----
)";

constexpr const char* kCertified = R"(-----BEGIN CERTIFICATE-----
MIIBMDCB46ADAgECAgEDMAUGAytlcDAUMRIwEAYDVQQDDAlhdXRob3JpdHkwIBcN
MDAwMTAxMDAwMDAwWhgPMjEwMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMMCWNlcnRp
ZmllZDAqMAUGAytlcAMhAIqkkEXAErpHcyFzwv4DvHauL1WxuwqsIU+PayeYhQvM
o1gwVjAUBgNVHREEDTALggljZXJ0aWZpZWQwHQYDVR0OBBYEFI7eZ7BwJ6JyyTv6
fCy1JuGJlzkEMB8GA1UdIwQYMBaAFBn2qtCr3E6TNeekLzhBbnCHPd5eMAUGAytl
cANBALV4k2RylvJlztlq1nTou/YnBSny4CZFh53D6D1wH8ZrsI3OcHaR0j+jcbcp
bsLWSp7dPJzPBqY6A9u8CoWEFAc=
-----END CERTIFICATE-----
)";
constexpr const char* kCertifiedKey = R"(-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIIVUnv1XESko1HkN0uEEPbu5SMiPYlG/CiW+HkmEBtOH
-----END PRIVATE KEY-----
)";

constexpr const char* kStranger = R"(-----BEGIN CERTIFICATE-----
MIIBLjCB4aADAgECAgEEMAUGAytlcDAUMRIwEAYDVQQDDAlhdXRob3JpdHkwIBcN
MDAwMTAxMDAwMDAwWhgPMjEwMDAxMDEwMDAwMDBaMBMxETAPBgNVBAMMCHN0cmFu
Z2VyMCowBQYDK2VwAyEAaNqbSesHixb/OnBWBEyohlmeoWZp9r1JKwNd5GTwh8Gj
VzBVMBMGA1UdEQQMMAqCCHN0cmFuZ2VyMB0GA1UdDgQWBBQJbEmRXLFN6vOxe4mR
lUDygTHIgzAfBgNVHSMEGDAWgBQZ9qrQq9xOkzXnpC84QW5whz3eXjAFBgMrZXAD
QQC9dMc/RQPgGIHAj3yBXdZSDxfteCwRE4txgWA7VCOWmfMC9YrpECUhioSfT7oM
PfXqsQhiphmEjI9ynWYK+WUB
-----END CERTIFICATE-----
)";
constexpr const char* kStrangerKey = R"(-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIPAGtfk8Dgopnuf892VBNguJPa6qppigvPwPV4OTidBx
-----END PRIVATE KEY-----
)";

// What OpenSSL draws from while a run lasts. One run at a time in a process.
runtime::Random* drawn_from = nullptr;

int draw(unsigned char* out, int size) {
  for (int at = 0; at < size; at += 8) {
    const std::uint64_t bits = drawn_from->next();
    std::memcpy(out + at, &bits, static_cast<std::size_t>(std::min(size - at, 8)));
  }
  return 1;
}
int good() {
  return 1;
}
const RAND_METHOD kDrawn = {nullptr, draw, nullptr, nullptr, draw, good};

std::shared_ptr<const runtime::tls::Context> client(runtime::tls::ClientMaterial material) {
  material.authorities = kAuthority;
  auto made = runtime::tls::Context::client(material);
  STELE_ASSERT(made);
  return *std::move(made);
}

}  // namespace

SeededTls::SeededTls(std::uint64_t seed) : random_(std::make_unique<runtime::Random>(seed)) {
  STELE_ASSERT(!drawn_from);
  drawn_from = random_.get();
  RAND_set_rand_method(&kDrawn);
}

SeededTls::~SeededTls() {
  RAND_set_rand_method(nullptr);
  drawn_from = nullptr;
}

std::shared_ptr<const runtime::tls::Context> server_tls() {
  auto made = runtime::tls::Context::server({.certificate_chain = kNode,
                                             .private_key = kNodeKey,
                                             .client_authorities = kAuthority,
                                             .clients = runtime::tls::ClientCertificate::kOptional});
  STELE_ASSERT(made);
  return *std::move(made);
}

std::shared_ptr<const runtime::tls::Context> client_tls() {
  return client({});
}

std::shared_ptr<const runtime::tls::Context> client_tls_of_certified() {
  return client({.authorities = {}, .certificate_chain = kCertified, .private_key = kCertifiedKey});
}

std::shared_ptr<const runtime::tls::Context> client_tls_of_stranger() {
  return client({.authorities = {}, .certificate_chain = kStranger, .private_key = kStrangerKey});
}

runtime::Dial dial_tls(std::shared_ptr<const runtime::tls::Context> context) {
  return [context = std::move(context)](runtime::Runtime& runtime, runtime::Endpoint to,
                                        runtime::Duration timeout, runtime::StopToken stop) {
    return runtime::tls::connect(runtime, context, "node", std::move(to), timeout, std::move(stop));
  };
}

}  // namespace stele::sim
