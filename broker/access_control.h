// Authorizer and Authenticator of one core, on its copy of the metadata.
//
// What is expensive, the iterations of a password in clear, runs on a worker thread, a few at a time; others
// wait, a bounded number of them. A password that was right once is remembered as a keyed hash, as long as
// the process lives and the user keeps it, so that clients that come back in thousands cost little, also
// those that come before the first of them is verified. Failures are answered after a while, and each address
// may have only so many of them in a time; beyond that nothing is verified for it at all, nor what it has
// waiting.
//
// Lives on one core. Outlives the broker there, and its tasks.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/access.h"
#include "broker/access_rules.h"
#include "meta/client.h"
#include "runtime/notification.h"
#include "runtime/one_shot.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"

namespace stele::broker {

struct AccessOptions {
  bool required = false;  // nobody gets in without being a user, even while there are none
  // Of this core.
  std::uint32_t max_verifying = 2;
  std::uint32_t max_waiting = 1000;  // to be verified; more are refused
  runtime::Duration failure_delay = std::chrono::milliseconds(100);
  // An address may fail so often at once, and again after each interval.
  std::uint32_t failures_at_once = 20;
  runtime::Duration failure_interval = std::chrono::seconds(3);
  std::size_t max_addresses = 4096;  // remembered
};

struct AccessStats {
  std::array<std::uint64_t, kActionCount> denied{};
  std::uint64_t logins = 0;
  std::uint64_t login_failures = 0;
  std::uint64_t logins_limited = 0;  // refused unseen: too many failures of the address
  std::uint64_t logins_busy = 0;     // refused unseen: too many at once
  std::uint64_t passwords_verified = 0;
};

class AccessControl final : public Authorizer, public Authenticator {
 public:
  AccessControl(runtime::Runtime& runtime, meta::MetaClient& meta, AccessOptions options);

  bool allowed(const Principal& who, Action action, std::string_view resource) override;
  bool may_publish_anywhere(const Principal& who) override { return rules_->may_publish_anywhere(who); }

  Result<Principal> nobody() override;
  Result<Principal> of_certificate(std::string_view name) override;
  runtime::Task<Result<Principal>> log_in(std::string address, std::string user,
                                          std::string password) override;
  runtime::Task<Result<Principal>> log_in_with_token(std::string address, std::string token) override;
  runtime::Task<Result<std::unique_ptr<ScramLogin>>> begin_scram(std::string address, scram::Hash hash,
                                                                 std::string client_first) override;
  bool still_known(const Principal& who) override { return rules_->knows(who); }
  void watch(IdentityWatcher& watcher) override { watchers_.push_back(watcher); }

  // Completes when nothing is verified any more; no connection is left.
  runtime::Task<void> stop() { return scope_.close(); }
  const AccessStats& stats() const { return stats_; }

 private:
  class Scram;
  struct Failures {
    double left;  // that may still come
    runtime::Instant at;
  };
  struct Remembered {
    std::shared_ptr<const meta::User> user;
    std::string mac;
  };
  enum class Verdict : std::uint8_t { kRight, kWrong, kLimited };
  struct Attempt {
    std::string address;
    std::shared_ptr<const meta::User> user;  // null: nobody has that name
    std::string password;
    std::string mac;
    scram::Credential credential;
  };
  void on_view(const meta::MetaView& view);
  // At most a line a second of a kind; the next tells how many there were besides.
  struct Lines {
    runtime::Instant next{};
    std::uint64_t unsaid = 0;
  };
  void say(Lines& lines, std::string what);
  // Null: nobody of that name has such a password.
  scram::Credential credential_for(const meta::User* user, std::string_view name, scram::Hash hash) const;
  bool may_try(const std::string& address);
  void count_failure(const std::string& address);
  runtime::Task<Result<Principal>> fail(std::string address, std::string user);
  runtime::Task<Error> refuse_unseen();
  runtime::Task<Result<Verdict>> verify(Attempt attempt);
  runtime::Task<void> run_verification(Attempt attempt, runtime::OneShot<Verdict> done);
  runtime::Task<Verdict> judge(Attempt attempt);
  Principal accept(const meta::User& user);
  std::string mac_of(const meta::User* user, std::string_view password) const;
  bool is_remembered(const meta::User* user, std::string_view mac) const;

  runtime::Runtime& runtime_;
  const AccessOptions options_;
  AccessStats stats_;
  std::unique_ptr<AccessRules> rules_;
  std::string memory_secret_;  // of this process
  std::map<UserId, Remembered> remembered_;
  std::map<std::string, Failures, std::less<>> failures_;  // by address
  std::uint32_t verifying_ = 0;
  runtime::Notification verified_;
  IntrusiveList<IdentityWatcher> watchers_;
  Lines denials_, login_failures_;
  meta::MetaClient::Watch watch_;
  // Last: its tasks use the rest. Verifications are its own: whoever asked may be gone before they are done,
  // and they must count until then.
  runtime::Scope scope_;
};

// A password as it is stored; expensive, so on a worker thread.
runtime::Task<std::vector<scram::Credential>> store_password(
    runtime::Runtime& runtime, std::string password, std::uint32_t iterations = scram::kDefaultIterations);

}  // namespace stele::broker
