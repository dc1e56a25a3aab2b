// Commands about users, access rules and tokens.
#include <set>
#include <string>
#include <utility>

#include "meta/handlers.h"

namespace stele::meta {
namespace {

constexpr std::size_t kTokenHashBytes = 32;

std::unexpected<Error> wrong(std::string what) {
  return error(ErrorCode::kInvalidArgument, std::move(what));
}

// `id`: who was meant, if that was known (0: it was not); another of that name by now is not he.
Result<User> find_user(Context context, const std::string& name, UserId id) {
  auto user = context.tables.user(name);
  if (user && (id == UserId(0) || user->id == id)) return *std::move(user);
  return error(ErrorCode::kNotFound, "there is no user '" + name + "'");
}

void put_user(Context context, const User& user) {
  context.tables.put_user(user);
  context.change.put_user = user;
  if (user.credentials.empty() || !context.tables.decoy_secret().empty()) return;
  std::string secret = scram::digest(scram::Hash::kSha256, "decoy" + user.credentials.front().stored_key);
  context.tables.set_decoy_secret(secret);
  context.change.decoy_secret = std::move(secret);
}

Result<void> check_credentials(const std::vector<scram::Credential>& credentials) {
  std::set<scram::Hash> kinds;
  for (const scram::Credential& one : credentials) {
    STELE_CHECK(scram::check_credential(one));
    if (!kinds.insert(one.hash).second) return wrong("there is a stored password of one kind twice");
  }
  return {};
}

bool is_administrator(const User& user) {
  return user.super_user && user.tenant == kDefaultTenant;
}

Result<void> check_not_last_administrator(Context context, const User& user) {
  if (!is_administrator(user) || context.tables.administrator_count() > 1) return {};
  return wrong("'" + user.name + "' is the last administrator; make another first");
}

}  // namespace

Result<User> handle(Context context, const CreateUser& command) {
  if (!is_printable_name(command.name) || command.name.find(':') != std::string::npos) {
    return wrong("the name of a user is 1 to 255 bytes of printable UTF-8 without ':'");
  }
  STELE_CHECK(check_credentials(command.credentials));
  if (!context.tables.tenant(command.tenant)) {
    return error(ErrorCode::kNotFound, "there is no tenant with id " + std::to_string(command.tenant.value));
  }
  if (context.tables.user(command.name)) {
    return error(ErrorCode::kAlreadyExists, "there is a user '" + command.name + "' already");
  }
  User user{.id = {},
            .tenant = command.tenant,
            .name = command.name,
            .super_user = command.super_user,
            .credentials = command.credentials,
            .created_ms = context.envelope.time.ms};
  const std::size_t count = context.tables.user_count();
  if (count == 0 && !is_administrator(user)) {
    return wrong(
        "the first user is a super user of the tenant 'default': somebody must be able to make others");
  }
  if (count >= kMaxUsers) {
    return error(ErrorCode::kNoSpace,
                 "there are " + std::to_string(kMaxUsers) + " users, and no more can be");
  }
  user.id = UserId(context.tables.draw(Tables::Counter::kUser));
  put_user(context, user);
  return user;
}

Result<User> handle(Context context, const AlterUser& command) {
  STELE_TRY(User user, find_user(context, command.name, command.id));
  if (command.credentials) STELE_CHECK(check_credentials(*command.credentials));
  if (command.super_user == false) STELE_CHECK(check_not_last_administrator(context, user));
  if (command.super_user) user.super_user = *command.super_user;
  if (command.credentials) user.credentials = *command.credentials;
  put_user(context, user);
  return user;
}

Result<User> handle(Context context, const DeleteUser& command) {
  STELE_TRY(User user, find_user(context, command.name, command.id));
  STELE_CHECK(check_not_last_administrator(context, user));
  context.tables.delete_user(user.id);
  context.change.removed_user = user.id;
  return user;
}

Result<AclRule> handle(Context context, const CreateAcl& command) {
  AclRule rule = command.rule;
  STELE_CHECK(check_rule(rule));
  if (!context.tables.tenant(rule.tenant)) {
    return error(ErrorCode::kNotFound, "there is no tenant with id " + std::to_string(rule.tenant.value));
  }
  if (rule.user != UserId(0)) {
    const auto user = context.tables.user(rule.user);
    if (!user || user->tenant != rule.tenant) {
      return error(ErrorCode::kNotFound, "the tenant has no user with id " + std::to_string(rule.user.value));
    }
  }
  if (context.tables.has_rule_like(rule)) {
    return error(ErrorCode::kAlreadyExists, "there is that rule already");
  }
  if (context.tables.rule_count() >= kMaxRules ||
      context.tables.rule_count(rule.tenant, rule.user) >= kMaxRulesPerUser) {
    return error(ErrorCode::kNoSpace, "there are " + std::to_string(kMaxRules) + " rules, or " +
                                          std::to_string(kMaxRulesPerUser) +
                                          " for that user, and no more can be");
  }
  rule.id = AclId(context.tables.draw(Tables::Counter::kRule));
  context.tables.insert_rule(rule);
  context.change.put_rule = rule;
  return rule;
}

Result<AclRule> handle(Context context, const DeleteAcl& command) {
  auto rule = context.tables.rule(command.id);
  if (!rule || rule->tenant != command.tenant) {
    return error(ErrorCode::kNotFound, "there is no rule with id " + std::to_string(command.id.value));
  }
  context.tables.delete_rule(rule->id);
  context.change.removed_rule = rule->id;
  return *std::move(rule);
}

Result<Token> handle(Context context, const CreateToken& command) {
  Token token = command.token;
  if (!is_printable_name(token.name))
    return wrong("the name of a token is 1 to 255 bytes of printable UTF-8");
  if (token.hash.size() != kTokenHashBytes) return wrong("the hash of a token has 32 bytes");
  if (token.expires_ms < 0) return wrong("a token expires at a time, or never");
  if (!context.tables.user(token.user)) {
    return error(ErrorCode::kNotFound, "there is no user with id " + std::to_string(token.user.value));
  }
  if (context.tables.token(token.user, token.name) || context.tables.has_token_hash(token.hash)) {
    return error(ErrorCode::kAlreadyExists, "there is a token '" + token.name + "' already");
  }
  if (context.tables.token_count() >= kMaxTokens ||
      context.tables.token_count(token.user) >= kMaxTokensPerUser) {
    return error(ErrorCode::kNoSpace, "there are " + std::to_string(kMaxTokens) + " tokens, or " +
                                          std::to_string(kMaxTokensPerUser) +
                                          " of that user, and no more can be");
  }
  token.created_ms = context.envelope.time.ms;
  context.tables.insert_token(token);
  context.change.put_token = token;
  return token;
}

Result<Token> handle(Context context, const DeleteToken& command) {
  auto token = context.tables.token(command.user, command.name);
  if (!token) return error(ErrorCode::kNotFound, "there is no token '" + command.name + "' of that user");
  context.tables.delete_token(command.user, command.name);
  context.change.removed_token = token->hash;
  return *std::move(token);
}

}  // namespace stele::meta
