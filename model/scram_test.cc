#include "model/scram.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

#include "base/base64.h"

namespace stele::scram {
namespace {

constexpr std::string_view kClientNonce = "rOprNGfwEbeRWgbNEkqO";
constexpr std::string_view kServerNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

// RFC 7677, section 3.
TEST(Scram, ConversationOfRfc7677) {
  const std::string salt = *base64_decode("W22ZaJ0SNY7soEsUEjb6gQ==");
  const Credential credential = derive(Hash::kSha256, "pencil", salt, 4096);
  auto first = parse_client_first("n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
  ASSERT_TRUE(first);
  EXPECT_EQ(first->user, "user");
  const Server server(*first, credential, kServerNonce);
  EXPECT_EQ(server.challenge(),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
  const std::string client_final =
      "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
      "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
  const auto final = server.finish(client_final);
  ASSERT_TRUE(final);
  EXPECT_EQ(*final, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");

  Client client(Hash::kSha256, "user", "pencil", kClientNonce);
  EXPECT_EQ(client.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
  EXPECT_EQ(client.answer(server.challenge()), client_final);
  EXPECT_TRUE(client.check(*final));
  EXPECT_FALSE(client.check("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="));
  EXPECT_FALSE(client.check("e=other-error"));
}

// The keys of RFC 5802's example are SHA-1's; these are SHA-512's of the same password, from Python's
// hashlib.
TEST(Scram, KeysOfSha512) {
  const Credential credential = derive(Hash::kSha512, "pencil", *base64_decode("QSXCR+Q6sek8bf92"), 4096);
  EXPECT_EQ(base64_encode(credential.stored_key),
            "Lm7w6zPGAx+UoahlEm1whIN7PS1KGU+9+V5PyudK6c/mWVVtkXSCpVPmUKQLYDKR7v0uSkxrBzPm7HuSwZ/ytw==");
  EXPECT_EQ(base64_encode(credential.server_key),
            "b/Ph5kGCpfdw2MyLh0C8l10iiFENloZLKPiJIHv57J3BRD9++4RvoYjTKhOehyHgJS/nsxnNB17UKgNU7nRy6g==");
}

TEST(Scram, PasswordInClear) {
  const Credential credential = derive(Hash::kSha512, "secret", "0123456789abcdef", 4096);
  EXPECT_TRUE(check_credential(credential));
  EXPECT_TRUE(verify_password(credential, "secret"));
  EXPECT_FALSE(verify_password(credential, "secreT"));
  EXPECT_FALSE(verify_password(credential, ""));
}

TEST(Scram, NobodyHasNoPassword) {
  const Credential nobody = credential_of_nobody(Hash::kSha256, "of the cluster", "mallory", 4096);
  EXPECT_TRUE(check_credential(nobody));
  EXPECT_EQ(nobody, credential_of_nobody(Hash::kSha256, "of the cluster", "mallory", 4096));
  EXPECT_NE(nobody.salt, credential_of_nobody(Hash::kSha256, "of the cluster", "trent", 4096).salt);
  EXPECT_NE(nobody.salt, credential_of_nobody(Hash::kSha256, "of another", "mallory", 4096).salt);
  EXPECT_FALSE(verify_password(nobody, ""));
}

TEST(Scram, ClientFirstIsTakenApart) {
  const auto first = parse_client_first("y,a=a=2Cb=3Dc,n=a=2Cb=3Dc,r=nonce,tokenauth=true");
  ASSERT_TRUE(first);
  EXPECT_EQ(first->user, "a,b=c");
  EXPECT_EQ(first->nonce, "nonce");
  EXPECT_EQ(first->gs2_header, "y,a=a=2Cb=3Dc,");
  EXPECT_EQ(first->bare, "n=a=2Cb=3Dc,r=nonce,tokenauth=true");
}

TEST(Scram, WhatIsNoClientFirst) {
  for (const char* wrong : {"", "n", "n,", "n,,", "n,,n=", "n,,n=,r=x", "n,,n=user", "n,,n=user,",
                            "n,,n=user,r=", "n,,r=x,n=user", "n,,n=us=er,r=x", "n,,n=user=,r=x",
                            "n,,n=user=2,r=x", "n,,n=user,r=a b", "x,,n=user,r=x", "n,b=user,n=user,r=x"}) {
    const auto first = parse_client_first(wrong);
    ASSERT_FALSE(first) << wrong;
    EXPECT_EQ(first.error().code, ErrorCode::kMalformed) << wrong;
  }
  for (const char* unsupported :
       {"p=tls-unique,,n=user,r=x", "n,a=other,n=user,r=x", "n,,m=extension,n=user,r=x"}) {
    const auto first = parse_client_first(unsupported);
    ASSERT_FALSE(first) << unsupported;
    EXPECT_EQ(first.error().code, ErrorCode::kUnsupported) << unsupported;
  }
  EXPECT_FALSE(parse_client_first("n,,n=" + std::string(kMaxMessageBytes, 'u') + ",r=x"));
}

TEST(Scram, WhatIsNoClientFinal) {
  const Credential credential = derive(Hash::kSha256, "pencil", "0123456789abcdef", 4096);
  const Server server(*parse_client_first("n,,n=user,r=mine"), credential, "yours");
  const std::string proof = ",p=" + base64_encode(std::string(32, 'x'));
  for (const std::string& wrong : std::vector<std::string>{
           "", proof, "c=biws" + proof, "c=biws,r=mine" + proof, "c=biws,r=mineyourss" + proof,
           "c=eSws,r=mineyours" + proof, "c=biws,r=mineyours",
           "c=biws,r=mineyours,p=", "c=biws,r=mineyours,p=eA==", "r=mineyours,c=biws" + proof,
           "c=biws,r=mineyours,p=" + std::string(2 * kMaxMessageBytes, 'A')}) {
    const auto final = server.finish(wrong);
    ASSERT_FALSE(final) << wrong;
    EXPECT_EQ(final.error().code, ErrorCode::kMalformed) << wrong;
  }
  const auto final = server.finish("c=biws,r=mineyours" + proof);
  ASSERT_FALSE(final);
  EXPECT_EQ(final.error().code, ErrorCode::kUnauthorized);
}

// librdkafka before 2.6 puts its own nonce before the one that it was given, which begins with that.
TEST(Scram, TheClientsNonceTwice) {
  const Credential credential = derive(Hash::kSha256, "pencil", "0123456789abcdef", 4096);
  const Server server(*parse_client_first("n,,n=user,r=mine"), credential, "yours");
  Client client(Hash::kSha256, "user", "pencil", "mine");
  std::string twice = server.challenge();
  const auto answer = client.answer(twice.replace(2, 4, "minemine"));
  ASSERT_TRUE(answer);
  // Another nonce is another proof: this one is not for what was said.
  EXPECT_EQ(server.finish(*answer).error().code, ErrorCode::kUnauthorized);
}

TEST(Scram, ClientChecksTheServer) {
  Client client(Hash::kSha256, "user", "pencil", "mine");
  for (const char* wrong : {"", "r=mine,s=AAAA,i=4096", "r=other,s=AAAA,i=4096", "r=mineyours,s=,i=4096",
                            "r=mineyours,s=AAA,i=4096", "r=mineyours,s=AAAA,i=", "r=mineyours,s=AAAA,i=4096x",
                            "r=mineyours,s=AAAA,i=-1", "e=no"}) {
    EXPECT_FALSE(client.answer(wrong)) << wrong;
  }
  EXPECT_EQ(client.answer("r=mineyours,s=AAAA,i=4095").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(client.answer("r=mineyours,s=AAAA,i=4000000000").error().code, ErrorCode::kUnsupported);
  EXPECT_FALSE(client.check("v="));  // before the challenge was answered
}

// Any name, any password: the right one is taken, another is not.
RC_GTEST_PROP(Scram, AnyNameAndPassword, (const std::string& tail, const std::string& password)) {
  const std::string user = "u" + tail;
  const Hash hash = *rc::gen::element(Hash::kSha256, Hash::kSha512);
  RC_PRE(user.size() < 500);
  const Credential credential = derive(hash, password, "0123456789abcdef", kMinIterations);
  Client client(hash, user, password, "mine");
  auto first = parse_client_first(client.first());
  RC_ASSERT(first.has_value());
  RC_ASSERT(first->user == user);
  const Server server(*first, credential, "yours");
  const auto answer = client.answer(server.challenge());
  RC_ASSERT(answer.has_value());
  const auto final = server.finish(*answer);
  RC_ASSERT(final.has_value());
  RC_ASSERT(client.check(*final).has_value());
  const Server other(*first, derive(hash, password + "x", "0123456789abcdef", kMinIterations), "yours");
  RC_ASSERT(!other.finish(*answer).has_value());
}

}  // namespace
}  // namespace stele::scram
