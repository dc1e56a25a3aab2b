#include "broker/access_control.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/base64.h"
#include "base/marks.h"

namespace stele::broker {

using runtime::Task;
using scram::Hash;

namespace {

constexpr runtime::Duration kBetweenLines = std::chrono::seconds(1);
constexpr std::size_t kMaxUserBytes = 255;
constexpr std::size_t kMaxTokenBytes = 256;

// One text for whatever was wrong.
std::unexpected<Error> wrong_login() {
  return error(ErrorCode::kUnauthorized, "wrong user name or password");
}

std::string shown(std::string_view text) {
  std::string out(text.substr(0, 200));
  std::ranges::replace_if(out, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return out;
}

std::string secret(runtime::Runtime& runtime, std::size_t size) {
  std::string out(size, '\0');
  runtime.fill_secret(out);
  return out;
}

}  // namespace

AccessControl::AccessControl(runtime::Runtime& runtime, meta::MetaClient& meta, AccessOptions options)
    : runtime_(runtime), options_(options), memory_secret_(secret(runtime, 32)) {
  on_view(*meta.view());
  watch_ = meta.on_change([this](const std::shared_ptr<const meta::MetaView>& view) { on_view(*view); });
}

void AccessControl::on_view(const meta::MetaView& view) {
  if (rules_ && rules_->identities() == view.identities()) return;
  rules_ = std::make_unique<AccessRules>(view.identities(), options_.required);
  std::erase_if(remembered_, [&](const auto& one) {
    return view.identities()->find(std::string_view(one.second.user->name)) != one.second.user;
  });
  IntrusiveList<IdentityWatcher> now;
  while (!watchers_.empty()) now.push_back(watchers_.pop_front());
  while (!now.empty()) {
    IdentityWatcher& watcher = now.pop_front();
    watchers_.push_back(watcher);
    watcher.on_identities_changed();
  }
}

// ---- what may be done ------------------------------------------------------------------------------------

bool AccessControl::allowed(const Principal& who, Action action, std::string_view resource) {
  if (rules_->allowed(who, action, resource)) [[likely]]
    return true;
  // What may not be seen is left out of lists: no attempt at anything.
  if (action != Action::kDescribe) {
    std::string line = "'" + shown(who.name) + "' may not " + std::string(to_string(action));
    if (!resource.empty()) line += " '" + shown(resource) + "'";
    say(denials_, std::move(line));
  }
  ++stats_.denied[static_cast<std::size_t>(action)];
  return false;
}

void AccessControl::say(Lines& lines, std::string what) {
  if (runtime_.now() < lines.next) {
    ++lines.unsaid;
    return;
  }
  lines.next = runtime_.now() + kBetweenLines;
  if (const auto unsaid = std::exchange(lines.unsaid, 0)) {
    what += " (and " + std::to_string(unsaid) + " more since the last such line)";
  }
  runtime_.log().write(runtime::LogLevel::kWarn, "access", what);
}

// ---- who it is -------------------------------------------------------------------------------------------

Principal AccessControl::accept(const meta::User& user) {
  ++stats_.logins;
  return {.name = user.name, .tenant = user.tenant, .user = user.id};
}

Result<Principal> AccessControl::nobody() {
  if (rules_->open()) return Principal{};
  if (const auto user = rules_->identities()->find(meta::kAnonymousUserName)) return accept(*user);
  return error(ErrorCode::kUnauthorized, "a user name and a password are needed here");
}

Result<Principal> AccessControl::of_certificate(std::string_view name) {
  if (rules_->open()) return Principal{};
  if (const auto user = rules_->identities()->find(name)) return accept(*user);
  STELE_MARK("access: certificate of nobody");
  ++stats_.login_failures;
  say(login_failures_, "there is no user '" + shown(name) + "', whose certificate somebody has");
  return error(ErrorCode::kUnauthorized, "there is no user of the certificate's name");
}

scram::Credential AccessControl::credential_for(const meta::User* user, std::string_view name,
                                                Hash hash) const {
  const scram::Credential* found = user ? user->credential(hash) : nullptr;
  return found ? *found
               : scram::credential_of_nobody(hash, rules_->identities()->decoy_secret, name,
                                             scram::kDefaultIterations);
}

bool AccessControl::may_try(const std::string& address) {
  const auto found = failures_.find(address);
  if (found == failures_.end()) return true;
  Failures& failures = found->second;
  const runtime::Instant now = runtime_.now();
  const double earned = std::chrono::duration<double>(now - failures.at) / options_.failure_interval;
  failures.left = std::min<double>(failures.left + earned, options_.failures_at_once);
  failures.at = now;
  if (failures.left >= options_.failures_at_once) {
    failures_.erase(found);
    return true;
  }
  return failures.left >= 1;
}

void AccessControl::count_failure(const std::string& address) {
  ++stats_.login_failures;
  if (failures_.size() >= options_.max_addresses && !failures_.contains(address)) {
    // The one that has been quiet longest.
    failures_.erase(std::ranges::min_element(failures_, {}, [](const auto& one) { return one.second.at; }));
  }
  auto [at, is_new] = failures_.try_emplace(
      address, Failures{static_cast<double>(options_.failures_at_once), runtime_.now()});
  at->second.left = std::max(at->second.left - 1, 0.0);
}

Task<Result<Principal>> AccessControl::fail(std::string address, std::string user) {
  STELE_MARK("access: login failed");
  count_failure(address);
  say(login_failures_, "a login as '" + shown(user) + "' from " + address + " failed");
  co_await runtime::sleep(runtime_, options_.failure_delay);
  co_return wrong_login();
}

std::string AccessControl::mac_of(const meta::User* user, std::string_view password) const {
  const UserId id = user ? user->id : UserId(0);
  return scram::hmac(Hash::kSha256, memory_secret_, std::to_string(id.value).append(":").append(password));
}

bool AccessControl::is_remembered(const meta::User* user, std::string_view mac) const {
  const auto found = remembered_.find(user ? user->id : UserId(0));
  return found != remembered_.end() && scram::equal_secrets(found->second.mac, mac);
}

// Too many failures of that address.
Task<Error> AccessControl::refuse_unseen() {
  STELE_MARK("access: login refused unseen");
  ++stats_.logins_limited;
  co_await runtime::sleep(runtime_, options_.failure_delay);
  co_return Error{ErrorCode::kUnavailable, "too many failed logins; try again later"};
}

Task<Result<Principal>> AccessControl::log_in(std::string address, std::string user, std::string password) {
  if (rules_->open()) co_return Principal{};  // whatever he says: there are no users to be told from
  if (!may_try(address)) co_return std::unexpected(co_await refuse_unseen());
  if (user.size() > kMaxUserBytes || password.size() > scram::kMaxPasswordBytes) {
    co_return co_await fail(std::move(address), std::move(user));
  }
  // Whether there is such a user makes no difference to what is done, until it is known to be he.
  const auto known = rules_->identities()->find(std::string_view(user));
  std::string mac = mac_of(known.get(), password);
  if (is_remembered(known.get(), mac)) co_return accept(*known);
  STELE_CO_TRY(const Verdict verdict,
               co_await verify({.address = address,
                                .user = known,
                                .password = std::move(password),
                                .mac = std::move(mac),
                                // The quicker of the two.
                                .credential = credential_for(known.get(), user, Hash::kSha256)}));
  if (verdict == Verdict::kLimited) co_return std::unexpected(co_await refuse_unseen());
  // Meanwhile he may be gone, or have another password.
  if (verdict != Verdict::kRight || !known || rules_->identities()->find(std::string_view(user)) != known) {
    co_return co_await fail(std::move(address), std::move(user));
  }
  co_return accept(*known);
}

Task<Result<AccessControl::Verdict>> AccessControl::verify(Attempt attempt) {
  if (scope_.running() >= options_.max_verifying + options_.max_waiting) {
    STELE_MARK("access: too many logins at once");
    ++stats_.logins_busy;
    co_return error(ErrorCode::kUnavailable, "too many logins at once; try again later");
  }
  const runtime::OneShot<Verdict> done;
  scope_.spawn(run_verification(std::move(attempt), done));
  co_return co_await done.wait();
}

Task<void> AccessControl::run_verification(Attempt attempt, runtime::OneShot<Verdict> done) {
  while (verifying_ >= options_.max_verifying) co_await verified_.wait();
  ++verifying_;
  const Verdict verdict = co_await judge(std::move(attempt));
  --verifying_;
  // First the answer: a failure counts before the next begins.
  done.set(verdict);
  verified_.wake_all();
}

// When its turn has come: those before it may have decided it.
Task<AccessControl::Verdict> AccessControl::judge(Attempt attempt) {
  if (is_remembered(attempt.user.get(), attempt.mac)) co_return Verdict::kRight;
  if (!may_try(attempt.address)) co_return Verdict::kLimited;
  ++stats_.passwords_verified;
  auto right = std::make_shared<bool>(false);
  co_await runtime::run_blocking(
      runtime_, [right, credential = std::move(attempt.credential), password = std::move(attempt.password)](
                    runtime::BlockingFiles&) { *right = scram::verify_password(credential, password); });
  if (!*right || !attempt.user) co_return Verdict::kWrong;
  if (rules_->identities()->find(attempt.user->id) == attempt.user.get()) {
    const UserId id = attempt.user->id;
    remembered_.insert_or_assign(id, Remembered{std::move(attempt.user), std::move(attempt.mac)});
  }
  co_return Verdict::kRight;
}

Task<Result<Principal>> AccessControl::log_in_with_token(std::string address, std::string token) {
  if (rules_->open()) co_return Principal{};
  if (!may_try(address)) co_return std::unexpected(co_await refuse_unseen());
  const meta::Identities& identities = *rules_->identities();
  if (token.size() <= kMaxTokenBytes) {
    const auto found = identities.tokens.find(scram::digest(Hash::kSha256, token));
    if (found != identities.tokens.end()) {
      const meta::Token& known = found->second;
      const meta::User* user = identities.find(known.user);
      if (user && (known.expires_ms == 0 || runtime_.wall_now().ms < known.expires_ms))
        co_return accept(*user);
    }
  }
  co_return co_await fail(std::move(address), "(token)");
}

// ---- SCRAM -----------------------------------------------------------------------------------------------

class AccessControl::Scram final : public ScramLogin {
 public:
  Scram(AccessControl& access, std::string address, std::shared_ptr<const meta::User> user,
        scram::Server server)
      : access_(access), address_(std::move(address)), user_(std::move(user)), server_(std::move(server)) {}

  const std::string& challenge() const override { return server_.challenge(); }

  Task<Result<ScramAccepted>> finish(std::string client_final) override {
    auto final = server_.finish(client_final);
    const bool there = user_ && access_.rules_->identities()->find(std::string_view(user_->name)) == user_;
    if (!final || !there) {
      auto failed = co_await access_.fail(address_, server_.user());
      co_return std::unexpected(std::move(failed).error());
    }
    co_return ScramAccepted{access_.accept(*user_), *std::move(final)};
  }

 private:
  AccessControl& access_;
  const std::string address_;
  const std::shared_ptr<const meta::User> user_;
  const scram::Server server_;
};

Task<Result<std::unique_ptr<ScramLogin>>> AccessControl::begin_scram(std::string address, Hash hash,
                                                                     std::string client_first) {
  if (!may_try(address)) co_return std::unexpected(co_await refuse_unseen());
  auto first = scram::parse_client_first(client_first);
  if (!first || first->user.size() > kMaxUserBytes) {
    auto failed = co_await fail(std::move(address), "(SCRAM)");
    co_return std::unexpected(std::move(failed).error());
  }
  auto user = rules_->identities()->find(std::string_view(first->user));
  scram::Credential credential = credential_for(user.get(), first->user, hash);
  if (user && !user->credential(hash)) user.reset();
  const std::string nonce = base64_encode(secret(runtime_, scram::kNonceBytes));
  co_return std::make_unique<Scram>(*this, std::move(address), std::move(user),
                                    scram::Server(*std::move(first), std::move(credential), nonce));
}

Task<std::vector<scram::Credential>> store_password(runtime::Runtime& runtime, std::string password,
                                                    std::uint32_t iterations) {
  auto out = std::make_shared<std::vector<scram::Credential>>();
  const std::string salts = secret(runtime, 2 * scram::kSaltBytes);
  co_await runtime::run_blocking(runtime, [out, salts, iterations,
                                           password = std::move(password)](runtime::BlockingFiles&) {
    out->push_back(scram::derive(Hash::kSha256, password, salts.substr(0, scram::kSaltBytes), iterations));
    out->push_back(scram::derive(Hash::kSha512, password, salts.substr(scram::kSaltBytes), iterations));
  });
  co_return std::move(*out);
}

}  // namespace stele::broker
