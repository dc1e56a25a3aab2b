// A connected client's session on the core of its connection. What is kept lives in the session's shard; here
// are its live subscriptions and the way to the shard.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/api.h"
#include "broker/attached.h"
#include "broker/live.h"
#include "broker/mail.h"
#include "broker/retained.h"
#include "broker/session_asks.h"
#include "broker/session_values.h"
#include "broker/will_table.h"

namespace stele::broker {

class SessionImpl final : public Session, public Attached {
 public:
  // `options` without the will.
  SessionImpl(Core& core, SessionOptions options, std::optional<WillContent> will, SessionHandler& handler);
  ~SessionImpl() override;

  runtime::Task<Result<void>> open();

  bool present() const override { return present_; }
  void start() override;
  runtime::Task<SubscribeAnswer> subscribe(std::vector<SubscribeRequest> requests) override;
  runtime::Task<void> give_retained() override;
  void give_up() override { given_up_ = true; }
  void go_on() override;
  runtime::Task<Result<std::vector<bool>>> unsubscribe(std::vector<std::string> filters) override;
  void settle(SettleToken token) override;
  void accept(SettleToken token) override;
  void released(std::uint16_t packet_id) override;
  void complete(std::uint16_t packet_id) override;
  bool durable() const override { return live_.durable; }
  void end(EndOfSession how, std::optional<std::uint32_t> expiry_s) override;
  runtime::Task<void> leave(std::optional<std::uint32_t> expiry_s) override;

  void on_items(SessionMail&& mail) override;
  void on_taken_over() override { live_.handler->on_taken_over(); }
  void on_session_lost(const Error& why) override { live_.handler->on_session_lost(why); }
  void on_live_missed(const Error& why) override;
  void on_rules() override { check_rights(); }
  // Rules have changed: the session ends if it has subscriptions that are not allowed any more.
  // False: it has.
  bool check_rights();
  std::uint64_t publisher_hash() const { return live_.publisher_hash; }
  // With durable():
  ShardId shard() const { return shard_; }
  std::uint32_t number() const { return number_; }
  std::uint64_t epoch() const { return epoch_; }

 private:
  static constexpr runtime::Duration kBetweenOwners = std::chrono::milliseconds(50);
  // What is to be done on this core; the rest is to be sent to the shard.
  SessionEnd finish(EndOfSession how, std::optional<std::uint32_t> expiry_s);
  void tell_shard(SettleMail::What what, SettleToken token);
  bool may_subscribe(const std::string& filter) const;
  runtime::Task<void> route(std::vector<std::string> filters, bool interested);
  void tell_interest(std::vector<std::string> filters, bool interested);
  void tell_members(std::vector<std::pair<std::string, std::uint32_t>> members);
  ask::EndSession ending_of(const SessionEnd& ending, bool wait) const;
  // Shared subscriptions, by `$share/NAME/FILTER`.
  ShardId home_of(std::string_view share) const;
  ShareMemberName member_of(std::string_view share) const;
  runtime::Task<Result<void>> join_share(SubscribeRequest request);
  runtime::Task<void> route_shares(std::vector<std::pair<std::string, std::uint32_t>> members);
  void start_shares();
  void leave_shares();
  void give_back_shared();
  bool too_many_shares(const std::vector<SubscribeRequest>& allowed, std::string_view filter) const;

  // ---- session_retained.cc
  class RetainedLookUp;
  struct Giving;
  std::vector<SubscribeRequest> that_look_up(const std::vector<SubscribeRequest>& allowed) const;
  runtime::Task<Result<void>> queue_retained(std::vector<SubscribeRequest> requests);
  void look_up_later(const SubscribeRequest& request);
  void forget_look_up(std::string_view filter);
  static runtime::Task<void> give(std::shared_ptr<Giving> giving);
  bool give_page(RetainedLookUp& look_up);
  bool give_one(const RetainedMessage& found, const SubscribeRequest& request);
  void end_giving();

  Core& core_;
  const SessionOptions options_;
  const ShardId shard_;
  const std::uint64_t attachment_;
  LiveSubscriber live_;
  std::uint32_t number_ = 0;
  std::uint64_t epoch_ = 0;
  bool present_ = false;
  bool started_ = false;
  bool ended_ = false;
  bool given_up_ = false;
  std::map<std::string, SubscribeRequest, std::less<>> filters_;
  std::size_t shares_ = 0;                    // of them that are shared
  std::vector<std::string> joined_shares_;    // whose shards send nothing yet
  std::vector<SubscribeRequest> to_look_up_;  // until give_retained()
  std::shared_ptr<Giving> giving_;            // while retained messages are on their way
  std::optional<WillContent> will_;           // until open()
  const bool has_will_;
};

}  // namespace stele::broker
