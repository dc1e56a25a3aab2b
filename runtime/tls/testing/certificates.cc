#include "runtime/tls/testing/certificates.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/assert.h"

namespace stele::runtime::tls::testing {
namespace {

constexpr long kDay = 24L * 3600;

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string out(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return out;
}

void extend(X509* certificate, int kind, const std::string& value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
  STELE_ASSERT(extension && X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

Issued make(const std::string& name, const Issued* authority, int days) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  STELE_ASSERT(key && certificate);
  static long serial = 1;
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -10 * kDay);
  X509_gmtime_adj(X509_getm_notAfter(certificate), days * kDay);
  X509_set_pubkey(certificate, key);
  X509_NAME* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  EVP_PKEY* signer = key;
  if (authority) {
    BIO* keys = BIO_new_mem_buf(authority->key.data(), static_cast<int>(authority->key.size()));
    signer = PEM_read_bio_PrivateKey(keys, nullptr, nullptr, nullptr);
    BIO_free(keys);
    BIO* text =
        BIO_new_mem_buf(authority->certificate.data(), static_cast<int>(authority->certificate.size()));
    X509* issuer = PEM_read_bio_X509(text, nullptr, nullptr, nullptr);
    BIO_free(text);
    STELE_ASSERT(signer && issuer);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    X509_free(issuer);
    extend(certificate, NID_subject_alt_name, "DNS:" + name);
  } else {
    X509_set_issuer_name(certificate, subject);
    extend(certificate, NID_basic_constraints, "critical,CA:TRUE");
  }
  STELE_ASSERT(X509_sign(certificate, signer, EVP_sha256()) > 0);
  Issued out;
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  out.certificate = text_of(bio);
  bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  out.key = text_of(bio);
  if (signer != key) EVP_PKEY_free(signer);
  EVP_PKEY_free(key);
  X509_free(certificate);
  return out;
}

}  // namespace

Issued make_authority(const std::string& name) {
  return make(name, nullptr, 100);
}

Issued issue(const Issued& authority, const std::string& name, int days) {
  return make(name, &authority, days);
}

}  // namespace stele::runtime::tls::testing
