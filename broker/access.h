// Who a client is and what it may do, as the protocols see it. Of one core; everything here is called on it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/intrusive_list.h"
#include "base/result.h"
#include "meta/types.h"
#include "model/ids.h"
#include "model/scram.h"
#include "runtime/task.h"

namespace stele::broker {

struct Principal {
  std::string name = "anonymous";
  TenantId tenant = kDefaultTenant;
  UserId user = {};  // 0: nobody in particular; may do everything while there are no users, and nothing after
};

enum class Action {
  kConnect,
  kPublish,
  kSubscribe,
  kProduce,
  kFetch,
  kDescribe,
  kCreateTopic,
  kDeleteTopic,
  kAlterTopic,
  kUseGroup,  // join it, commit its offsets
  kDescribeGroup,
  kDeleteGroup,
  kAdminister
};
inline constexpr std::size_t kActionCount = 13;
std::string_view to_string(Action action);

class Authorizer {
 public:
  virtual ~Authorizer() = default;
  // `resource` is an address or filter in MQTT form, or the name of a topic or group, by the action; empty
  // for the whole node, or for any topic at all.
  virtual bool allowed(const Principal& who, Action action, std::string_view resource) = 0;
  // Whether there is no address that it may not publish to. Never true where allowed() would say no.
  virtual bool may_publish_anywhere(const Principal& who) = 0;
};

// Told when users or rules have changed, in a turn of its own. Leaves when destroyed.
class IdentityWatcher : public ListNode<> {
 public:
  virtual void on_identities_changed() = 0;

 protected:
  ~IdentityWatcher() = default;
};

// What a SCRAM conversation came to.
struct ScramAccepted {
  Principal principal;
  std::string server_final;
};

// A SCRAM conversation that has begun. Outlived by its Authenticator.
class ScramLogin {
 public:
  virtual ~ScramLogin() = default;
  virtual const std::string& challenge() const = 0;
  // kUnauthorized, after a while.
  virtual runtime::Task<Result<ScramAccepted>> finish(std::string client_final) = 0;
};

// Finds out who a client is. Whatever is wrong with what it says (no such user, another password, no password
// at all), the answer is one, and takes as long: kUnauthorized, after a while. kUnavailable: too many
// failures from that address, or too many passwords to be verified; try again later.
class Authenticator {
 public:
  virtual ~Authenticator() = default;
  // For a client that says nothing. kUnauthorized once there are users, unless one is called `anonymous`.
  virtual Result<Principal> nobody() = 0;
  // For one that says no more, but whose certificate has been verified and bears this name.
  virtual Result<Principal> of_certificate(std::string_view name) = 0;
  // `address`: the client's host.
  virtual runtime::Task<Result<Principal>> log_in(std::string address, std::string user,
                                                  std::string password) = 0;
  virtual runtime::Task<Result<Principal>> log_in_with_token(std::string address, std::string token) = 0;
  virtual runtime::Task<Result<std::unique_ptr<ScramLogin>>> begin_scram(std::string address,
                                                                         scram::Hash hash,
                                                                         std::string client_first) = 0;
  // False once its user is deleted, or its time as anonymous is over: its connections end.
  virtual bool still_known(const Principal& who) = 0;
  virtual void watch(IdentityWatcher& watcher) = 0;
};

}  // namespace stele::broker
