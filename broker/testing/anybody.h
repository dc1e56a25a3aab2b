// For tests of what stands in front of a broker: lets in anybody, or those that the test names.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "broker/access.h"
#include "runtime/notification.h"

namespace stele::broker::testing {

class Anybody final : public Authenticator {
 public:
  // Empty: everybody is anonymous, whatever he says. By name.
  std::map<std::string, std::string> passwords;
  bool busy = false;  // too much to do
  bool hold = false;  // log_in() waits for go_on()
  void go_on() { held_.wake_all(); }
  void forget(const std::string& name) {
    passwords.erase(name);
    changed();
  }
  void changed() {
    IntrusiveList<IdentityWatcher> now;
    while (!watchers_.empty()) now.push_back(watchers_.pop_front());
    while (!now.empty()) {
      IdentityWatcher& watcher = now.pop_front();
      watchers_.push_back(watcher);
      watcher.on_identities_changed();
    }
  }

  Result<Principal> nobody() override {
    if (passwords.empty()) return Principal{};
    return error(ErrorCode::kUnauthorized, "a user name and a password are needed here");
  }
  Result<Principal> of_certificate(std::string_view name) override {
    if (passwords.empty()) return Principal{};
    if (!passwords.contains(std::string(name))) return wrong();
    return Principal{.name = std::string(name), .tenant = kDefaultTenant, .user = UserId(1)};
  }
  runtime::Task<Result<Principal>> log_in(std::string, std::string user, std::string password) override {
    while (hold) co_await held_.wait();
    if (busy) co_return error(ErrorCode::kUnavailable, "too many logins at once; try again later");
    if (passwords.empty()) co_return Principal{};
    const auto found = passwords.find(user);
    if (found == passwords.end() || found->second != password) co_return wrong();
    co_return Principal{.name = user, .tenant = kDefaultTenant, .user = UserId(1)};
  }
  runtime::Task<Result<Principal>> log_in_with_token(std::string address, std::string token) override {
    return log_in(std::move(address), "token", std::move(token));
  }
  runtime::Task<Result<std::unique_ptr<ScramLogin>>> begin_scram(std::string, scram::Hash,
                                                                 std::string) override {
    auto failed = error(ErrorCode::kUnauthorized, "no SCRAM in this test");
    co_return failed;
  }
  bool still_known(const Principal& who) override {
    return passwords.empty() ? who.user == UserId(0) : passwords.contains(who.name);
  }
  void watch(IdentityWatcher& watcher) override { watchers_.push_back(watcher); }

 private:
  static std::unexpected<Error> wrong() {
    return error(ErrorCode::kUnauthorized, "wrong user name or password");
  }
  IntrusiveList<IdentityWatcher> watchers_;
  runtime::Notification held_;
};

}  // namespace stele::broker::testing
