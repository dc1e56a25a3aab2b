// Users, what they may do, and what proves that it is them: plain values, immutable once handed out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "model/scram.h"

namespace stele::meta {

// Of a cluster, not of a tenant: a client says a user's name and so his tenant.
struct User {
  UserId id;
  TenantId tenant;
  std::string name;
  bool super_user = false;                     // may do everything in his tenant; in `default`, in all
  std::vector<scram::Credential> credentials;  // of one password; none: no password lets him in
  std::int64_t created_ms = 0;

  const scram::Credential* credential(scram::Hash hash) const;
  friend bool operator==(const User&, const User&) = default;
};
// Who connects without saying a name is this user, if there is one.
inline constexpr std::string_view kAnonymousUserName = "anonymous";

// ---- access rules ----------------------------------------------------------------------------------------

enum class ResourceKind : std::uint8_t { kAddress = 0, kTopic = 1, kGroup = 2, kNode = 3 };
enum class PatternKind : std::uint8_t { kLiteral = 0, kPrefix = 1, kFilter = 2 };
enum class Operation : std::uint8_t {
  kPublish = 0,
  kSubscribe = 1,
  kRead = 2,
  kWrite = 3,
  kDescribe = 4,
  kCreate = 5,
  kDelete = 6,
  kAlter = 7,
  kAdminister = 8,
};
inline constexpr std::size_t kOperationCount = 9;
std::string_view to_string(ResourceKind kind);
std::string_view to_string(Operation operation);
std::optional<Operation> find_operation(std::string_view name);

// A set of operations, as bits.
using Operations = std::uint32_t;
constexpr Operations bit(Operation operation) {
  return Operations{1} << static_cast<unsigned>(operation);
}
// All that there are for a kind of resource.
Operations operations_of(ResourceKind kind);

using AclId = StrongId<struct AclIdTag>;  // given by the meta service, never used twice

// One rule. What no rule allows is denied, and what one denies no other allows.
struct AclRule {
  AclId id = {};
  TenantId tenant = {};
  UserId user = {};  // 0: every user of the tenant
  bool allow = true;
  ResourceKind resource = ResourceKind::kAddress;
  PatternKind pattern_kind = PatternKind::kFilter;  // addresses have filters; topics and groups the others
  std::string pattern = {};                         // empty for the node
  Operations operations = 0;
  friend bool operator==(const AclRule&, const AclRule&) = default;
};
// kInvalidArgument: it says nothing that could be asked.
Result<> check_rule(const AclRule& rule);

// ---- tokens ----------------------------------------------------------------------------------------------

// Lets whoever knows it act as the user, over HTTP. The token itself is nowhere.
struct Token {
  UserId user;
  std::string name;  // among the user's
  std::string hash;  // SHA-256
  std::int64_t created_ms = 0;
  std::int64_t expires_ms = 0;  // 0: never
  friend bool operator==(const Token&, const Token&) = default;
};

// ---- all of them -----------------------------------------------------------------------------------------

struct Identities {
  std::map<UserId, std::shared_ptr<const User>> users;
  std::map<std::string, std::shared_ptr<const User>, std::less<>> by_name;
  std::map<AclId, AclRule> rules;
  std::map<std::string, Token, std::less<>> tokens;  // by hash
  // Nobody's to know, and for good the same: of the first password that was ever stored. Empty until then.
  // What those are answered out of it who ask for a user that there is not.
  std::string decoy_secret;

  const User* find(UserId id) const;
  std::shared_ptr<const User> find(std::string_view name) const;

  void put(User user);
  // With all that was his.
  void remove(UserId id);
};

}  // namespace stele::meta
