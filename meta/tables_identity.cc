// The tables of users, rules and tokens.
#include <string>
#include <utility>

#include "meta/tables.h"
#include "storage/sqlite.h"

namespace stele::meta {
namespace {

using storage::Blob;
using storage::Database;

// Columns id, tenant, name, super_user, created_ms.
User user_of(const Database::Query& query) {
  return {.id = UserId(query.unsigned_integer(0)),
          .tenant = TenantId(static_cast<std::uint32_t>(query.integer(1))),
          .name = std::string(query.text(2)),
          .super_user = query.integer(3) != 0,
          .credentials = {},
          .created_ms = query.integer(4)};
}

// Columns id, tenant, user, allow, resource, pattern_kind, pattern, operations.
AclRule rule_of(const Database::Query& query) {
  return {.id = AclId(query.unsigned_integer(0)),
          .tenant = TenantId(static_cast<std::uint32_t>(query.integer(1))),
          .user = UserId(query.unsigned_integer(2)),
          .allow = query.integer(3) != 0,
          .resource = static_cast<ResourceKind>(query.integer(4)),
          .pattern_kind = static_cast<PatternKind>(query.integer(5)),
          .pattern = std::string(query.text(6)),
          .operations = static_cast<Operations>(query.integer(7))};
}

// Columns user, name, hash, created_ms, expires_ms.
Token token_of(const Database::Query& query) {
  return {.user = UserId(query.unsigned_integer(0)),
          .name = std::string(query.text(1)),
          .hash = std::string(query.text(2)),
          .created_ms = query.integer(3),
          .expires_ms = query.integer(4)};
}

std::vector<scram::Credential> credentials_of(Database& database, UserId user) {
  std::vector<scram::Credential> credentials;
  auto query = database.query(
      "SELECT hash, salt, iterations, stored_key, server_key FROM credentials WHERE user = ?1 ORDER BY hash",
      user.value);
  while (query.next()) {
    credentials.push_back({.hash = static_cast<scram::Hash>(query.integer(0)),
                           .salt = std::string(query.text(1)),
                           .iterations = static_cast<std::uint32_t>(query.integer(2)),
                           .stored_key = std::string(query.text(3)),
                           .server_key = std::string(query.text(4))});
  }
  return credentials;
}

std::size_t count_of(Database::Query query) {
  return query.next() ? static_cast<std::size_t>(query.integer(0)) : 0;
}

}  // namespace

// ---- users ---------------------------------------------------------------------------------------------

std::vector<User> Tables::users() {
  std::vector<User> users;
  {
    auto query = database_.query("SELECT id, tenant, name, super_user, created_ms FROM users ORDER BY id");
    while (query.next()) users.push_back(user_of(query));
  }
  for (User& user : users) user.credentials = credentials_of(database_, user.id);
  return users;
}

std::optional<User> Tables::user(std::string_view name) {
  std::optional<User> user;
  {
    auto query =
        database_.query("SELECT id, tenant, name, super_user, created_ms FROM users WHERE name = ?1", name);
    if (query.next()) user = user_of(query);
  }
  if (user) user->credentials = credentials_of(database_, user->id);
  return user;
}

std::optional<User> Tables::user(UserId id) {
  std::optional<User> user;
  {
    auto query =
        database_.query("SELECT id, tenant, name, super_user, created_ms FROM users WHERE id = ?1", id.value);
    if (query.next()) user = user_of(query);
  }
  if (user) user->credentials = credentials_of(database_, user->id);
  return user;
}

std::size_t Tables::user_count() {
  return count_of(database_.query("SELECT count(*) FROM users"));
}

std::size_t Tables::administrator_count() {
  return count_of(database_.query("SELECT count(*) FROM users WHERE super_user = 1 AND tenant = ?1",
                                  kDefaultTenant.value));
}

void Tables::put_user(const User& user) {
  database_.run("INSERT OR REPLACE INTO users VALUES(?1, ?2, ?3, ?4, ?5)", user.id.value, user.tenant.value,
                std::string_view(user.name), user.super_user ? 1 : 0, user.created_ms);
  database_.run("DELETE FROM credentials WHERE user = ?1", user.id.value);
  for (const scram::Credential& one : user.credentials) {
    database_.run("INSERT INTO credentials VALUES(?1, ?2, ?3, ?4, ?5, ?6)", user.id.value,
                  static_cast<int>(one.hash), Blob{one.salt}, one.iterations, Blob{one.stored_key},
                  Blob{one.server_key});
  }
}

void Tables::delete_user(UserId id) {
  database_.run("DELETE FROM users WHERE id = ?1", id.value);
  database_.run("DELETE FROM credentials WHERE user = ?1", id.value);
  database_.run("DELETE FROM rules WHERE user = ?1", id.value);
  database_.run("DELETE FROM tokens WHERE user = ?1", id.value);
}

std::string Tables::decoy_secret() {
  auto query = database_.query("SELECT decoy_secret FROM cluster");
  if (!query.next() || query.is_null(0)) return {};
  return std::string(query.text(0));
}

void Tables::set_decoy_secret(std::string_view secret) {
  database_.run("UPDATE cluster SET decoy_secret = ?1", Blob{secret});
}

// ---- rules ---------------------------------------------------------------------------------------------

std::vector<AclRule> Tables::rules() {
  std::vector<AclRule> rules;
  auto query = database_.query(
      "SELECT id, tenant, user, allow, resource, pattern_kind, pattern, operations FROM rules ORDER BY id");
  while (query.next()) rules.push_back(rule_of(query));
  return rules;
}

std::optional<AclRule> Tables::rule(AclId id) {
  auto query = database_.query(
      "SELECT id, tenant, user, allow, resource, pattern_kind, pattern, operations FROM rules WHERE id = ?1",
      id.value);
  if (!query.next()) return std::nullopt;
  return rule_of(query);
}

bool Tables::has_rule_like(const AclRule& rule) {
  return database_
      .query(
          "SELECT 1 FROM rules WHERE tenant = ?1 AND user = ?2 AND allow = ?3 AND resource = ?4 AND "
          "pattern_kind = ?5 AND pattern = ?6 AND operations = ?7",
          rule.tenant.value, rule.user.value, rule.allow ? 1 : 0, static_cast<int>(rule.resource),
          static_cast<int>(rule.pattern_kind), std::string_view(rule.pattern), rule.operations)
      .next();
}

std::size_t Tables::rule_count() {
  return count_of(database_.query("SELECT count(*) FROM rules"));
}

std::size_t Tables::rule_count(TenantId tenant, UserId user) {
  return count_of(database_.query("SELECT count(*) FROM rules WHERE tenant = ?1 AND user = ?2", tenant.value,
                                  user.value));
}

void Tables::insert_rule(const AclRule& rule) {
  database_.run("INSERT INTO rules VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)", rule.id.value, rule.tenant.value,
                rule.user.value, rule.allow ? 1 : 0, static_cast<int>(rule.resource),
                static_cast<int>(rule.pattern_kind), std::string_view(rule.pattern), rule.operations);
}

void Tables::delete_rule(AclId id) {
  database_.run("DELETE FROM rules WHERE id = ?1", id.value);
}

void Tables::delete_rules_of(TenantId tenant) {
  database_.run("DELETE FROM rules WHERE tenant = ?1", tenant.value);
}

// ---- tokens --------------------------------------------------------------------------------------------

std::vector<Token> Tables::tokens() {
  std::vector<Token> tokens;
  auto query =
      database_.query("SELECT user, name, hash, created_ms, expires_ms FROM tokens ORDER BY user, name");
  while (query.next()) tokens.push_back(token_of(query));
  return tokens;
}

std::optional<Token> Tables::token(UserId user, std::string_view name) {
  auto query = database_.query(
      "SELECT user, name, hash, created_ms, expires_ms FROM tokens WHERE user = ?1 AND name = ?2", user.value,
      name);
  if (!query.next()) return std::nullopt;
  return token_of(query);
}

bool Tables::has_token_hash(std::string_view hash) {
  return database_.query("SELECT 1 FROM tokens WHERE hash = ?1", Blob{hash}).next();
}

std::size_t Tables::token_count() {
  return count_of(database_.query("SELECT count(*) FROM tokens"));
}

std::size_t Tables::token_count(UserId user) {
  return count_of(database_.query("SELECT count(*) FROM tokens WHERE user = ?1", user.value));
}

void Tables::insert_token(const Token& token) {
  database_.run("INSERT INTO tokens VALUES(?1, ?2, ?3, ?4, ?5)", token.user.value,
                std::string_view(token.name), Blob{token.hash}, token.created_ms, token.expires_ms);
}

void Tables::delete_token(UserId user, std::string_view name) {
  database_.run("DELETE FROM tokens WHERE user = ?1 AND name = ?2", user.value, name);
}

}  // namespace stele::meta
