#include "runtime/tls/context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <utility>

#include "base/assert.h"

namespace stele::runtime::tls {
namespace {

template <class T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* object) const { Free(object); }
};
using Bio = std::unique_ptr<BIO, Deleter<BIO, BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Deleter<X509, X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY, EVP_PKEY_free>>;

Bio reader_of(const std::string& text) {
  Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  STELE_ASSERT(bio);
  return bio;
}

std::unexpected<Error> wrong(std::string what) {
  const std::string why = take_errors();
  if (!why.empty()) what += ": " + why;
  return error(ErrorCode::kInvalidArgument, std::move(what));
}

// No passphrase: nobody is there to be asked.
int no_passphrase(char*, int, int, void*) {
  return 0;
}

// PEM readers end with an error that says that there is no more.
void forget_end_of_input() {
  const auto last = ERR_peek_last_error();
  if (ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE) ERR_clear_error();
}

Result<> use_chain(SSL_CTX* context, const std::string& chain, const std::string& key_text) {
  const Bio certificates = reader_of(chain);
  const Certificate own(PEM_read_bio_X509(certificates.get(), nullptr, no_passphrase, nullptr));
  if (!own) return wrong("the certificate cannot be read");
  if (SSL_CTX_use_certificate(context, own.get()) != 1) return wrong("the certificate cannot be used");
  SSL_CTX_clear_chain_certs(context);
  while (X509* next = PEM_read_bio_X509(certificates.get(), nullptr, no_passphrase, nullptr)) {
    if (SSL_CTX_add0_chain_cert(context, next) != 1) {
      X509_free(next);
      return wrong("the certificate's chain cannot be used");
    }
  }
  forget_end_of_input();
  const Bio keys = reader_of(key_text);
  const Key key(PEM_read_bio_PrivateKey(keys.get(), nullptr, no_passphrase, nullptr));
  if (!key) return wrong("the private key cannot be read (one with a passphrase cannot)");
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    return wrong("the private key does not belong to the certificate");
  }
  return {};
}

Result<> trust(SSL_CTX* context, const std::string& authorities, bool tell_clients) {
  const Bio certificates = reader_of(authorities);
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  int count = 0;
  while (true) {
    const Certificate one(PEM_read_bio_X509(certificates.get(), nullptr, no_passphrase, nullptr));
    if (!one) break;
    if (X509_STORE_add_cert(store, one.get()) != 1) return wrong("an authority's certificate cannot be used");
    if (tell_clients && SSL_CTX_add_client_CA(context, one.get()) != 1) {
      return wrong("an authority's certificate cannot be used");
    }
    ++count;
  }
  forget_end_of_input();
  if (count == 0) return wrong("there is no authority's certificate");
  return {};
}

void set_common(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  // Output is handed to OpenSSL in whatever pieces there are, and moves while it waits.
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  // A peer that just closes is no error: every protocol here knows where its messages end.
  SSL_CTX_set_options(context,
                      SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
}

}  // namespace

std::string take_errors() {
  std::string out;
  while (const unsigned long code = ERR_get_error()) {
    char text[256];
    ERR_error_string_n(code, text, sizeof text);
    // "error:0A00010B:SSL routines::wrong version number": the last part is for people.
    const std::string_view line(text);
    const std::size_t colon = line.rfind(':');
    if (out.size() < 200) out.append(out.empty() ? "" : "; ").append(line.substr(colon + 1));
  }
  return out;
}

Context::~Context() {
  SSL_CTX_free(context_);
}

Result<std::shared_ptr<const Context>> Context::server(const ServerMaterial& material) {
  std::shared_ptr<Context> out(new Context);
  out->context_ = SSL_CTX_new(TLS_server_method());
  STELE_ASSERT(out->context_);
  ERR_clear_error();
  set_common(out->context_);
  STELE_CHECK(use_chain(out->context_, material.certificate_chain, material.private_key));
  if (material.clients != ClientCertificate::kNone) {
    STELE_CHECK(trust(out->context_, material.client_authorities, true));
    const bool required = material.clients == ClientCertificate::kRequired;
    SSL_CTX_set_verify(out->context_, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       nullptr);
    // A session of another listener's authorities is none of this one's.
    static constexpr unsigned char kSessions[] = "stele";
    SSL_CTX_set_session_id_context(out->context_, kSessions, sizeof kSessions - 1);
  }
  return out;
}

Result<std::shared_ptr<const Context>> Context::client(const ClientMaterial& material) {
  std::shared_ptr<Context> out(new Context);
  out->context_ = SSL_CTX_new(TLS_client_method());
  STELE_ASSERT(out->context_);
  ERR_clear_error();
  set_common(out->context_);
  if (material.authorities.empty()) {
    if (SSL_CTX_set_default_verify_paths(out->context_) != 1) return wrong("the system's authorities");
  } else {
    STELE_CHECK(trust(out->context_, material.authorities, false));
  }
  if (!material.certificate_chain.empty()) {
    STELE_CHECK(use_chain(out->context_, material.certificate_chain, material.private_key));
  }
  SSL_CTX_set_verify(out->context_, SSL_VERIFY_PEER, nullptr);
  return out;
}

}  // namespace stele::runtime::tls
