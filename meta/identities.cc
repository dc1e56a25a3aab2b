#include "meta/identities.h"

#include <algorithm>
#include <array>
#include <utility>

#include "model/filter.h"
#include "model/utf8.h"

namespace stele::meta {
namespace {

constexpr std::array<std::string_view, kOperationCount> kOperationNames = {
    "publish", "subscribe", "read", "write", "describe", "create", "delete", "alter", "administer"};
constexpr std::array<std::string_view, 4> kResourceNames = {"address", "topic", "group", "node"};
constexpr std::size_t kMaxPatternBytes = 1024;

}  // namespace

const scram::Credential* User::credential(scram::Hash hash) const {
  const auto found = std::ranges::find(credentials, hash, &scram::Credential::hash);
  return found == credentials.end() ? nullptr : &*found;
}

std::string_view to_string(ResourceKind kind) {
  return kResourceNames[static_cast<std::size_t>(kind)];
}

std::string_view to_string(Operation operation) {
  return kOperationNames[static_cast<std::size_t>(operation)];
}

std::optional<Operation> find_operation(std::string_view name) {
  const auto found = std::ranges::find(kOperationNames, name);
  if (found == kOperationNames.end()) return std::nullopt;
  return static_cast<Operation>(found - kOperationNames.begin());
}

Operations operations_of(ResourceKind kind) {
  using enum Operation;
  switch (kind) {
    case ResourceKind::kAddress:
      return bit(kPublish) | bit(kSubscribe);
    case ResourceKind::kTopic:
      return bit(kRead) | bit(kWrite) | bit(kDescribe) | bit(kCreate) | bit(kDelete) | bit(kAlter);
    case ResourceKind::kGroup:
      return bit(kRead) | bit(kDescribe) | bit(kDelete);
    case ResourceKind::kNode:
      return bit(kDescribe) | bit(kAdminister);
  }
  return 0;
}

Result<> check_rule(const AclRule& rule) {
  const auto wrong = [](std::string what) { return error(ErrorCode::kInvalidArgument, std::move(what)); };
  if (rule.resource > ResourceKind::kNode || rule.pattern_kind > PatternKind::kFilter) {
    return wrong("a rule is about an address, a topic, a group or the node");
  }
  if (rule.operations == 0) return wrong("a rule allows or denies at least one operation");
  if ((rule.operations & ~operations_of(rule.resource)) != 0) {
    return wrong("a rule has an operation that there is not for a resource of kind " +
                 std::string(to_string(rule.resource)));
  }
  if (rule.pattern.size() > kMaxPatternBytes) return wrong("the pattern of a rule has at most 1024 bytes");
  switch (rule.resource) {
    case ResourceKind::kAddress:
      if (rule.pattern_kind != PatternKind::kFilter)
        return wrong("a rule about addresses has a topic filter");
      return check_filter(rule.pattern);
    case ResourceKind::kTopic:
    case ResourceKind::kGroup:
      if (rule.pattern_kind == PatternKind::kFilter || !is_clean_utf8(rule.pattern)) {
        return wrong("a rule about topics or groups has a name or the beginning of names");
      }
      if (rule.pattern_kind == PatternKind::kLiteral && rule.pattern.empty()) {
        return wrong("the name that the rule is about is missing");
      }
      return {};
    case ResourceKind::kNode:
      if (!rule.pattern.empty() || rule.pattern_kind != PatternKind::kLiteral) {
        return wrong("a rule about the node has no name");
      }
      return {};
  }
  return {};
}

const User* Identities::find(UserId id) const {
  const auto found = users.find(id);
  return found == users.end() ? nullptr : found->second.get();
}

std::shared_ptr<const User> Identities::find(std::string_view name) const {
  const auto found = by_name.find(name);
  return found == by_name.end() ? nullptr : found->second;
}

void Identities::put(User user) {
  auto shared = std::make_shared<const User>(std::move(user));
  by_name.insert_or_assign(shared->name, shared);
  users.insert_or_assign(shared->id, shared);
}

void Identities::remove(UserId id) {
  const auto found = users.find(id);
  if (found == users.end()) return;
  by_name.erase(found->second->name);
  users.erase(found);
  std::erase_if(rules, [id](const auto& rule) { return rule.second.user == id; });
  std::erase_if(tokens, [id](const auto& token) { return token.second.user == id; });
}

}  // namespace stele::meta
