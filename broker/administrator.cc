#include "broker/administrator.h"

#include <utility>

#include "base/base64.h"
#include "broker/access_control.h"
#include "meta/commands.h"

namespace stele::broker {

using runtime::Task;

namespace {

constexpr std::size_t kTokenBytes = 24;  // 32 characters

std::unexpected<Error> no_such_user(const std::string& name) {
  return error(ErrorCode::kNotFound, "there is no user '" + name + "'");
}

Result<> check_password(const std::optional<std::string>& password) {
  if (!password || (!password->empty() && password->size() <= scram::kMaxPasswordBytes)) return {};
  return error(ErrorCode::kInvalidArgument,
               "a password has 1 to " + std::to_string(scram::kMaxPasswordBytes) + " bytes");
}

}  // namespace

Result<> Administrator::check_administers(const Principal& who) {
  if (administers(who)) return {};
  return error(ErrorCode::kUnauthorized, "'" + who.name + "' is no administrator");
}

Result<TenantId> Administrator::tenant_of(const Principal& who, const std::string& name) {
  if (name.empty()) return who.tenant;
  const auto view = meta_.view();
  const meta::Tenant* tenant = view->find_tenant(name);
  if (tenant && sees(who, tenant->id)) return tenant->id;
  return error(ErrorCode::kNotFound, "there is no tenant '" + name + "'");
}

Result<meta::User> Administrator::find_user(const Principal& who, const std::string& name) {
  const auto user = meta_.view()->identities()->find(std::string_view(name));
  if (!user || !sees(who, user->tenant)) return no_such_user(name);
  return *user;
}

Result<meta::User> Administrator::find_own_user(const Principal& who, const std::string& name) {
  STELE_TRY(meta::User user, find_user(who, name));
  if (user.id == who.user || administers(who)) return user;
  return error(ErrorCode::kUnauthorized, "'" + who.name + "' is no administrator");
}

Task<Result<std::vector<scram::Credential>>> Administrator::store(std::optional<std::string> password) {
  if (!password) co_return std::vector<scram::Credential>();
  co_return co_await store_password(runtime_, *std::move(password));
}

// ---- users -----------------------------------------------------------------------------------------------

Task<Result<meta::User>> Administrator::create_user(Principal who, NewUser user) {
  STELE_CO_CHECK(check_administers(who));
  STELE_CO_CHECK(check_password(user.password));
  STELE_CO_TRY(const TenantId tenant, tenant_of(who, user.tenant));
  STELE_CO_TRY(auto credentials, co_await store(std::move(user.password)));
  co_return co_await meta_.execute(meta::CreateUser{.tenant = tenant,
                                                    .name = std::move(user.name),
                                                    .super_user = user.super_user,
                                                    .credentials = std::move(credentials)});
}

Task<Result<meta::User>> Administrator::alter_user(Principal who, UserChange change) {
  if (change.super_user) STELE_CO_CHECK(check_administers(who));
  STELE_CO_TRY(const meta::User user, find_own_user(who, change.name));
  meta::AlterUser alter{
      .name = user.name, .super_user = change.super_user, .credentials = std::nullopt, .id = user.id};
  if (change.password) {
    STELE_CO_CHECK(check_password(*change.password));
    STELE_CO_TRY(alter.credentials, co_await store(*std::move(change.password)));
  }
  co_return co_await meta_.execute(std::move(alter));
}

Task<Result<meta::User>> Administrator::delete_user(Principal who, std::string name) {
  STELE_CO_CHECK(check_administers(who));
  STELE_CO_TRY(const meta::User user, find_user(who, name));
  co_return co_await meta_.execute(meta::DeleteUser{.name = user.name, .id = user.id});
}

Result<std::vector<meta::User>> Administrator::users(const Principal& who) {
  STELE_CHECK(check_administers(who));
  std::vector<meta::User> out;
  for (const auto& [name, user] : meta_.view()->identities()->by_name) {
    if (sees(who, user->tenant)) out.push_back(*user);
  }
  return out;
}

// ---- rules -----------------------------------------------------------------------------------------------

Task<Result<meta::AclRule>> Administrator::create_rule(Principal who, NewRule rule) {
  STELE_CO_CHECK(check_administers(who));
  if (rule.user) {
    STELE_CO_TRY(const meta::User user, find_user(who, *rule.user));
    rule.rule.user = user.id;
    rule.rule.tenant = user.tenant;
  } else {
    rule.rule.user = UserId(0);
    STELE_CO_TRY(rule.rule.tenant, tenant_of(who, rule.tenant));
  }
  co_return co_await meta_.execute(meta::CreateAcl{.rule = std::move(rule.rule)});
}

Task<Result<meta::AclRule>> Administrator::delete_rule(Principal who, meta::AclId id) {
  STELE_CO_CHECK(check_administers(who));
  const auto identities = meta_.view()->identities();
  const auto found = identities->rules.find(id);
  if (found == identities->rules.end() || !sees(who, found->second.tenant)) {
    co_return error(ErrorCode::kNotFound, "there is no rule with id " + std::to_string(id.value));
  }
  co_return co_await meta_.execute(meta::DeleteAcl{.tenant = found->second.tenant, .id = id});
}

Result<std::vector<meta::AclRule>> Administrator::rules(const Principal& who) {
  STELE_CHECK(check_administers(who));
  std::vector<meta::AclRule> out;
  for (const auto& [id, rule] : meta_.view()->identities()->rules) {
    if (sees(who, rule.tenant)) out.push_back(rule);
  }
  return out;
}

// ---- tokens ----------------------------------------------------------------------------------------------

Task<Result<MadeToken>> Administrator::create_token(Principal who, NewToken token) {
  STELE_CO_TRY(const meta::User user, find_own_user(who, token.user));
  std::string bytes(kTokenBytes, '\0');
  runtime_.fill_secret(bytes);
  MadeToken made;
  made.text = base64_encode(bytes);
  made.token.user = user.id;
  made.token.name = std::move(token.name);
  made.token.hash = scram::digest(scram::Hash::kSha256, made.text);
  made.token.expires_ms = token.expires_ms;
  STELE_CO_TRY(made.token, co_await meta_.execute(meta::CreateToken{.token = made.token}));
  co_return made;
}

Task<Result<meta::Token>> Administrator::delete_token(Principal who, std::string user, std::string name) {
  STELE_CO_TRY(const meta::User owner, find_own_user(who, user));
  co_return co_await meta_.execute(meta::DeleteToken{.user = owner.id, .name = std::move(name)});
}

Result<std::vector<meta::Token>> Administrator::tokens(const Principal& who) {
  const bool all = administers(who);
  const auto identities = meta_.view()->identities();
  std::vector<meta::Token> out;
  for (const auto& [hash, token] : identities->tokens) {
    const meta::User* user = identities->find(token.user);
    if (token.user == who.user || (all && user && sees(who, user->tenant))) out.push_back(token);
  }
  return out;
}

// ---- tenants ---------------------------------------------------------------------------------------------

Task<Result<meta::Tenant>> Administrator::create_tenant(Principal who, std::string name) {
  STELE_CO_CHECK(check_administers(who));
  if (who.tenant != kDefaultTenant) {
    co_return error(ErrorCode::kUnauthorized, "tenants are made by administrators of the tenant 'default'");
  }
  co_return co_await meta_.execute(meta::CreateTenant{.name = std::move(name)});
}

Task<Result<meta::Tenant>> Administrator::delete_tenant(Principal who, std::string name) {
  STELE_CO_CHECK(check_administers(who));
  if (who.tenant != kDefaultTenant) {
    co_return error(ErrorCode::kUnauthorized,
                    "tenants are deleted by administrators of the tenant 'default'");
  }
  co_return co_await meta_.execute(meta::DeleteTenant{.name = std::move(name)});
}

Result<std::vector<meta::Tenant>> Administrator::tenants(const Principal& who) {
  STELE_CHECK(check_administers(who));
  std::vector<meta::Tenant> out;
  for (const auto& [id, tenant] : meta_.view()->tenants()) {
    if (sees(who, id)) out.push_back(tenant);
  }
  return out;
}

}  // namespace stele::broker
