// Administration of one core, by commands of the meta service.
#pragma once

#include <string>
#include <vector>

#include "broker/access.h"
#include "broker/administration.h"
#include "meta/client.h"
#include "runtime/runtime.h"

namespace stele::broker {

class Administrator final : public Administration {
 public:
  Administrator(runtime::Runtime& runtime, meta::MetaClient& meta, Authorizer& authorizer)
      : runtime_(runtime), meta_(meta), authorizer_(authorizer) {}

  runtime::Task<Result<meta::User>> create_user(Principal who, NewUser user) override;
  runtime::Task<Result<meta::User>> alter_user(Principal who, UserChange change) override;
  runtime::Task<Result<meta::User>> delete_user(Principal who, std::string name) override;
  Result<std::vector<meta::User>> users(const Principal& who) override;
  runtime::Task<Result<meta::AclRule>> create_rule(Principal who, NewRule rule) override;
  runtime::Task<Result<meta::AclRule>> delete_rule(Principal who, meta::AclId id) override;
  Result<std::vector<meta::AclRule>> rules(const Principal& who) override;
  runtime::Task<Result<MadeToken>> create_token(Principal who, NewToken token) override;
  runtime::Task<Result<meta::Token>> delete_token(Principal who, std::string user, std::string name) override;
  Result<std::vector<meta::Token>> tokens(const Principal& who) override;
  runtime::Task<Result<meta::Tenant>> create_tenant(Principal who, std::string name) override;
  runtime::Task<Result<meta::Tenant>> delete_tenant(Principal who, std::string name) override;
  Result<std::vector<meta::Tenant>> tenants(const Principal& who) override;

 private:
  bool administers(const Principal& who) { return authorizer_.allowed(who, Action::kAdminister, {}); }
  Result<> check_administers(const Principal& who);
  static bool sees(const Principal& who, TenantId tenant) {
    return who.tenant == kDefaultTenant || who.tenant == tenant;
  }
  Result<TenantId> tenant_of(const Principal& who, const std::string& name);
  Result<meta::User> find_user(const Principal& who, const std::string& name);
  // He himself, or one whom he administers.
  Result<meta::User> find_own_user(const Principal& who, const std::string& name);
  runtime::Task<Result<std::vector<scram::Credential>>> store(std::optional<std::string> password);

  runtime::Runtime& runtime_;
  meta::MetaClient& meta_;
  Authorizer& authorizer_;
};

}  // namespace stele::broker
