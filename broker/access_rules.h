// What users may do, as of one version of the identities. Pure; may be used on any core.
//
// Deny goes before allow, and what nothing allows is denied. A subscription is allowed if one rule covers all
// of its filter, and denied if a rule that denies has any address in common with it: what would be delivered
// is then never in question. Rules are looked at one after the other, those of the user and those of his
// tenant's every user.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "broker/access.h"
#include "meta/identities.h"

namespace stele::broker {

class AccessRules {
 public:
  // `closed`: nobody may anything without being a user, even if there are none.
  AccessRules(std::shared_ptr<const meta::Identities> identities, bool closed);

  // There are no users: everybody may do everything.
  bool open() const { return open_; }
  bool knows(const Principal& who) const;
  bool allowed(const Principal& who, Action action, std::string_view resource) const;
  bool may_publish_anywhere(const Principal& who) const;
  const std::shared_ptr<const meta::Identities>& identities() const { return identities_; }

 private:
  // By kind of resource; those that deny first.
  using Lists = std::array<std::vector<const meta::AclRule*>, 4>;
  struct OfUser {
    const meta::User* user;
    Lists rules;
  };
  struct Asked;
  static Asked asked(Action action, std::string_view resource);
  const Lists* of_everybody(TenantId tenant) const;
  bool check(const OfUser& user, const Asked& asked) const;

  std::shared_ptr<const meta::Identities> identities_;
  bool open_;
  absl::flat_hash_map<std::uint64_t, OfUser> users_;  // by id; look-ups only
  std::map<TenantId, Lists> everybody_;
};

}  // namespace stele::broker
