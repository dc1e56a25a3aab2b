#include "broker/access_rules.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "model/filter.h"

namespace stele::broker {

using meta::AclRule;
using meta::bit;
using meta::Operation;
using meta::Operations;
using meta::PatternKind;
using meta::ResourceKind;

std::string_view to_string(Action action) {
  switch (action) {
    case Action::kConnect:
      return "connect";
    case Action::kPublish:
      return "publish";
    case Action::kSubscribe:
      return "subscribe";
    case Action::kProduce:
      return "produce";
    case Action::kFetch:
      return "fetch";
    case Action::kDescribe:
      return "describe";
    case Action::kCreateTopic:
      return "create topic";
    case Action::kDeleteTopic:
      return "delete topic";
    case Action::kAlterTopic:
      return "alter topic";
    case Action::kUseGroup:
      return "use group";
    case Action::kDescribeGroup:
      return "describe group";
    case Action::kDeleteGroup:
      return "delete group";
    case Action::kAdminister:
      return "administer";
  }
  return "?";
}

// An action in the words of the rules.
struct AccessRules::Asked {
  ResourceKind kind;
  Operation denied;     // the operation that a rule may deny
  Operations allowing;  // those of which any, allowed, allows it
  std::string_view name;
  bool is_filter = false;  // of a subscription
  bool any = false;        // something of that kind, whatever its name
};

AccessRules::Asked AccessRules::asked(Action action, std::string_view resource) {
  using enum Operation;
  const auto topic = [&](Operation operation) {
    return Asked{ResourceKind::kTopic, operation, bit(operation), resource, false, resource.empty()};
  };
  const auto group = [&](Operation operation, Operations allowing) {
    return Asked{ResourceKind::kGroup, operation, allowing, resource};
  };
  switch (action) {
    case Action::kPublish:
      return {ResourceKind::kAddress, kPublish, bit(kPublish), resource};
    case Action::kSubscribe: {
      // Shared or not, it is about the same messages.
      if (resource.starts_with("$share/")) {
        const std::size_t group_end = resource.find('/', 7);
        resource = group_end == std::string_view::npos ? std::string_view() : resource.substr(group_end + 1);
      }
      return {ResourceKind::kAddress, kSubscribe, bit(kSubscribe), resource, true};
    }
    case Action::kProduce:
      return topic(kWrite);
    case Action::kFetch:
      return topic(kRead);
    case Action::kCreateTopic:
      return topic(kCreate);
    case Action::kDeleteTopic:
      return topic(kDelete);
    case Action::kAlterTopic:
      return topic(kAlter);
    case Action::kUseGroup:
      return group(kRead, bit(kRead));
    case Action::kDescribeGroup:
      return group(kDescribe, bit(kDescribe) | bit(kRead) | bit(kDelete));
    case Action::kDeleteGroup:
      return group(kDelete, bit(kDelete));
    case Action::kDescribe:
      if (resource.empty()) return {ResourceKind::kNode, kDescribe, bit(kDescribe) | bit(kAdminister), {}};
      // Who may do something with a topic may know that it is there.
      return {ResourceKind::kTopic, kDescribe,
              bit(kDescribe) | bit(kRead) | bit(kWrite) | bit(kDelete) | bit(kAlter), resource};
    case Action::kConnect:
    case Action::kAdminister:
      break;
  }
  return {ResourceKind::kNode, kAdminister, bit(kAdminister), {}};
}

AccessRules::AccessRules(std::shared_ptr<const meta::Identities> identities, bool closed)
    : identities_(std::move(identities)), open_(!closed && identities_->users.empty()) {
  for (const auto& [id, user] : identities_->users) users_[id.value] = {user.get(), {}};
  for (const bool allow : {false, true}) {
    for (const auto& [id, rule] : identities_->rules) {
      if (rule.allow != allow) continue;
      Lists* lists = &everybody_[rule.tenant];
      if (rule.user != UserId(0)) {
        const auto found = users_.find(rule.user.value);
        if (found == users_.end()) continue;
        lists = &found->second.rules;
      }
      (*lists)[static_cast<std::size_t>(rule.resource)].push_back(&rule);
    }
  }
}

const AccessRules::Lists* AccessRules::of_everybody(TenantId tenant) const {
  const auto found = everybody_.find(tenant);
  return found == everybody_.end() ? nullptr : &found->second;
}

bool AccessRules::knows(const Principal& who) const {
  if (who.user == UserId(0)) return open_;
  return users_.contains(who.user.value);
}

namespace {

bool name_fits(const AclRule& rule, std::string_view name) {
  return rule.pattern_kind == PatternKind::kPrefix ? name.starts_with(rule.pattern) : name == rule.pattern;
}

}  // namespace

bool AccessRules::check(const OfUser& user, const Asked& asked) const {
  const Lists* everybody = of_everybody(user.user->tenant);
  const auto kind = static_cast<std::size_t>(asked.kind);
  bool allowed = false;
  for (const Lists* lists : {&user.rules, everybody}) {
    if (!lists) continue;
    for (const AclRule* rule : (*lists)[kind]) {
      if (rule->allow && allowed) break;
      if ((rule->operations & (rule->allow ? asked.allowing : bit(asked.denied))) == 0) continue;
      bool fits = true;
      if (asked.kind == ResourceKind::kAddress) {
        fits = !rule->allow && asked.is_filter ? filters_overlap(rule->pattern, asked.name)
                                               : filter_covers(rule->pattern, asked.name);
      } else if (asked.kind != ResourceKind::kNode) {
        fits = asked.any ? rule->allow : name_fits(*rule, asked.name);
      }
      if (!fits) continue;
      if (!rule->allow) return false;
      allowed = true;
    }
  }
  return allowed;
}

bool AccessRules::allowed(const Principal& who, Action action, std::string_view resource) const {
  if (open_) return true;
  const auto found = users_.find(who.user.value);
  if (found == users_.end()) return false;
  const meta::User& user = *found->second.user;
  STELE_ASSERT(user.tenant == who.tenant);
  if (action == Action::kConnect) return true;
  // The node is nobody's but the default tenant's.
  if (action == Action::kDescribe && resource.empty() && user.tenant != kDefaultTenant) return false;
  if (user.super_user) return true;
  return check(found->second, asked(action, resource));
}

bool AccessRules::may_publish_anywhere(const Principal& who) const {
  if (open_) return true;
  const auto found = users_.find(who.user.value);
  return found != users_.end() && found->second.user->super_user;
}

}  // namespace stele::broker
