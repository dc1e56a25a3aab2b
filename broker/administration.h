// What administrators do besides what every client may: users, rules, tokens and tenants. Asked of the
// Authorizer like everything else.
//
// An administrator is a super user, or has a rule that says so. One of the tenant `default` administers all
// tenants, any other only his own; whatever is of other tenants is not there for him (kNotFound).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "broker/access.h"
#include "meta/types.h"
#include "runtime/task.h"

namespace stele::broker {

struct NewUser {
  std::string name;
  std::string tenant;  // empty: the administrator's
  bool super_user = false;
  std::optional<std::string> password;  // none: nobody logs in with one
};
struct UserChange {
  std::string name;
  std::optional<bool> super_user;
  std::optional<std::optional<std::string>> password;
};
// A rule with names instead of ids.
struct NewRule {
  std::optional<std::string> user;  // none: every user of the tenant
  std::string tenant;               // of a rule for every user; empty: the administrator's
  meta::AclRule rule;               // the rest
};
struct NewToken {
  std::string user;
  std::string name;
  std::int64_t expires_ms = 0;
};
struct MadeToken {
  std::string text;  // said this once, and never again
  meta::Token token;
};

class Administration {
 public:
  virtual ~Administration() = default;

  // kUnauthorized; kInvalidArgument (names, passwords), kAlreadyExists, kNotFound, kNoSpace, kUnavailable.
  virtual runtime::Task<Result<meta::User>> create_user(Principal who, NewUser user) = 0;
  // Everybody may change his own password.
  virtual runtime::Task<Result<meta::User>> alter_user(Principal who, UserChange change) = 0;
  virtual runtime::Task<Result<meta::User>> delete_user(Principal who, std::string name) = 0;
  virtual Result<std::vector<meta::User>> users(const Principal& who) = 0;  // without passwords

  virtual runtime::Task<Result<meta::AclRule>> create_rule(Principal who, NewRule rule) = 0;
  virtual runtime::Task<Result<meta::AclRule>> delete_rule(Principal who, meta::AclId id) = 0;
  virtual Result<std::vector<meta::AclRule>> rules(const Principal& who) = 0;

  // Everybody may have tokens of his own.
  virtual runtime::Task<Result<MadeToken>> create_token(Principal who, NewToken token) = 0;
  virtual runtime::Task<Result<meta::Token>> delete_token(Principal who, std::string user,
                                                          std::string name) = 0;
  virtual Result<std::vector<meta::Token>> tokens(const Principal& who) = 0;

  virtual runtime::Task<Result<meta::Tenant>> create_tenant(Principal who, std::string name) = 0;
  virtual runtime::Task<Result<meta::Tenant>> delete_tenant(Principal who, std::string name) = 0;
  virtual Result<std::vector<meta::Tenant>> tenants(const Principal& who) = 0;
};

}  // namespace stele::broker
