// Commands and answers of tenants, users, access rules and tokens.
#include <memory>
#include <utility>

#include "meta/command_codec_parts.h"

namespace stele::meta::codec {

// ---- values ----------------------------------------------------------------------------------------------
// For each kind: pack(value, table) and unpack(table, value).

void pack(const scram::Credential& from, fbs::CredentialT& to) {
  to.hash = static_cast<std::uint8_t>(from.hash);
  to.salt = from.salt;
  to.iterations = from.iterations;
  to.stored_key = from.stored_key;
  to.server_key = from.server_key;
}
void unpack(const fbs::CredentialT& from, scram::Credential& to) {
  to = {.hash = static_cast<scram::Hash>(from.hash),
        .salt = from.salt,
        .iterations = from.iterations,
        .stored_key = from.stored_key,
        .server_key = from.server_key};
}

void pack(const AclRule& from, fbs::AclRuleT& to) {
  to.id = from.id.value;
  to.tenant = from.tenant.value;
  to.user = from.user.value;
  to.deny = !from.allow;
  to.resource = static_cast<std::uint8_t>(from.resource);
  to.pattern_kind = static_cast<std::uint8_t>(from.pattern_kind);
  to.pattern = from.pattern;
  to.operations = from.operations;
}
void unpack(const fbs::AclRuleT& from, AclRule& to) {
  to = {.id = AclId(from.id),
        .tenant = TenantId(from.tenant),
        .user = UserId(from.user),
        .allow = !from.deny,
        .resource = static_cast<ResourceKind>(from.resource),
        .pattern_kind = static_cast<PatternKind>(from.pattern_kind),
        .pattern = from.pattern,
        .operations = from.operations};
}

void pack(const Token& from, fbs::TokenStateT& to) {
  to.user = from.user.value;
  to.name = from.name;
  to.hash = from.hash;
  to.created_ms = from.created_ms;
  to.expires_ms = from.expires_ms;
}
void unpack(const fbs::TokenStateT& from, Token& to) {
  to = {.user = UserId(from.user),
        .name = from.name,
        .hash = from.hash,
        .created_ms = from.created_ms,
        .expires_ms = from.expires_ms};
}

// ---- commands --------------------------------------------------------------------------------------------

fbs::CreateTenantT pack(const CreateTenant& from) {
  fbs::CreateTenantT to;
  to.name = from.name;
  return to;
}
Result<Command> unpack(const fbs::CreateTenantT& from) {
  return CreateTenant{.name = from.name};
}

fbs::DeleteTenantT pack(const DeleteTenant& from) {
  fbs::DeleteTenantT to;
  to.name = from.name;
  return to;
}
Result<Command> unpack(const fbs::DeleteTenantT& from) {
  return DeleteTenant{.name = from.name};
}

fbs::CreateUserT pack(const CreateUser& from) {
  fbs::CreateUserT to;
  to.tenant = from.tenant.value;
  to.name = from.name;
  to.super_user = from.super_user;
  to.credentials = pack_all<fbs::CredentialT>(from.credentials);
  return to;
}
Result<Command> unpack(const fbs::CreateUserT& from) {
  return CreateUser{.tenant = TenantId(from.tenant),
                    .name = from.name,
                    .super_user = from.super_user,
                    .credentials = unpack_all<scram::Credential>(from.credentials)};
}

fbs::AlterUserT pack(const AlterUser& from) {
  fbs::AlterUserT to;
  to.name = from.name;
  to.sets_super_user = from.super_user.has_value();
  to.super_user = from.super_user.value_or(false);
  to.sets_credentials = from.credentials.has_value();
  if (from.credentials) to.credentials = pack_all<fbs::CredentialT>(*from.credentials);
  to.id = from.id.value;
  return to;
}
Result<Command> unpack(const fbs::AlterUserT& from) {
  AlterUser to{
      .name = from.name, .super_user = std::nullopt, .credentials = std::nullopt, .id = UserId(from.id)};
  if (from.sets_super_user) to.super_user = from.super_user;
  if (from.sets_credentials) to.credentials = unpack_all<scram::Credential>(from.credentials);
  return to;
}

fbs::DeleteUserT pack(const DeleteUser& from) {
  fbs::DeleteUserT to;
  to.name = from.name;
  to.id = from.id.value;
  return to;
}
Result<Command> unpack(const fbs::DeleteUserT& from) {
  return DeleteUser{.name = from.name, .id = UserId(from.id)};
}

fbs::CreateAclT pack(const CreateAcl& from) {
  fbs::CreateAclT to;
  to.rule = std::make_unique<fbs::AclRuleT>();
  pack(from.rule, *to.rule);
  return to;
}
Result<Command> unpack(const fbs::CreateAclT& from) {
  if (!from.rule) return malformed("no rule");
  CreateAcl to;
  unpack(*from.rule, to.rule);
  return to;
}

fbs::DeleteAclT pack(const DeleteAcl& from) {
  fbs::DeleteAclT to;
  to.tenant = from.tenant.value;
  to.id = from.id.value;
  return to;
}
Result<Command> unpack(const fbs::DeleteAclT& from) {
  return DeleteAcl{.tenant = TenantId(from.tenant), .id = AclId(from.id)};
}

fbs::CreateTokenT pack(const CreateToken& from) {
  fbs::CreateTokenT to;
  to.token = std::make_unique<fbs::TokenStateT>();
  pack(from.token, *to.token);
  return to;
}
Result<Command> unpack(const fbs::CreateTokenT& from) {
  if (!from.token) return malformed("no token");
  CreateToken to;
  unpack(*from.token, to.token);
  return to;
}

fbs::DeleteTokenT pack(const DeleteToken& from) {
  fbs::DeleteTokenT to;
  to.user = from.user.value;
  to.name = from.name;
  return to;
}
Result<Command> unpack(const fbs::DeleteTokenT& from) {
  return DeleteToken{.user = UserId(from.user), .name = from.name};
}

// ---- answers ---------------------------------------------------------------------------------------------

fbs::TenantStateT pack(const Tenant& from) {
  fbs::TenantStateT to;
  to.id = from.id.value;
  to.name = from.name;
  return to;
}
Result<Answer> unpack(const fbs::TenantStateT& from) {
  return Tenant{.id = TenantId(from.id), .name = from.name};
}

fbs::UserStateT pack(const User& from) {
  fbs::UserStateT to;
  to.id = from.id.value;
  to.tenant = from.tenant.value;
  to.name = from.name;
  to.super_user = from.super_user;
  to.credentials = pack_all<fbs::CredentialT>(from.credentials);
  to.created_ms = from.created_ms;
  return to;
}
Result<Answer> unpack(const fbs::UserStateT& from) {
  return User{.id = UserId(from.id),
              .tenant = TenantId(from.tenant),
              .name = from.name,
              .super_user = from.super_user,
              .credentials = unpack_all<scram::Credential>(from.credentials),
              .created_ms = from.created_ms};
}

fbs::AclRuleT pack(const AclRule& from) {
  fbs::AclRuleT to;
  pack(from, to);
  return to;
}
Result<Answer> unpack(const fbs::AclRuleT& from) {
  AclRule to;
  unpack(from, to);
  return to;
}

fbs::TokenStateT pack(const Token& from) {
  fbs::TokenStateT to;
  pack(from, to);
  return to;
}
Result<Answer> unpack(const fbs::TokenStateT& from) {
  Token to;
  unpack(from, to);
  return to;
}

}  // namespace stele::meta::codec
