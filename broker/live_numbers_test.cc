#include "broker/live_numbers.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "runtime/random.h"

namespace stele::broker {
namespace {

using What = LiveArrivals::What;

TEST(LiveNumbers, CountFromOne) {
  LiveNumbers numbers(3);
  EXPECT_EQ(numbers.next(false), (LiveHead{.core = 3, .number = 1, .last_of_cores = 0}));
  EXPECT_EQ(numbers.next(true), (LiveHead{.core = 3, .number = 2, .last_of_cores = 0}));
  const LiveHead third = numbers.next(true);
  EXPECT_EQ(third.after, 2u);
  EXPECT_TRUE(third.unsettled);
}

TEST(LiveNumbers, WhatDoesNotCountIsNotMissed) {
  LiveNumbers numbers(0);
  LiveArrivals arrivals;
  numbers.on_lost(numbers.next(false).number);
  EXPECT_FALSE(numbers.untold());
  EXPECT_EQ(arrivals.take(1, numbers.next(true)), What::kNext);
}

TEST(LiveNumbers, WhatCountsIsMissedOnce) {
  LiveNumbers numbers(0);
  LiveArrivals arrivals;
  numbers.on_lost(numbers.next(true).number);
  EXPECT_TRUE(numbers.untold());
  const LiveHead second = numbers.next(false), third = numbers.next(false);
  EXPECT_EQ(arrivals.take(1, second), What::kGap);
  EXPECT_EQ(arrivals.take(1, third), What::kNext);
  numbers.on_answer(second.number);
  EXPECT_FALSE(numbers.untold());
}

TEST(LiveNumbers, ALostAnswerIsNoGapWhereItIsRemembered) {
  LiveNumbers numbers(0);
  LiveArrivals arrivals, elsewhere;
  const LiveHead first = numbers.next(true);
  EXPECT_EQ(arrivals.take(1, first), What::kNext);
  numbers.on_lost(first.number);
  const LiveHead second = numbers.next(true);
  EXPECT_EQ(arrivals.take(1, second), What::kNext);
  EXPECT_EQ(elsewhere.take(1, second), What::kGap);
}

TEST(LiveNumbers, WhatOthersHaveOvertakenIsLate) {
  LiveNumbers numbers(0);
  LiveArrivals here, there;
  const LiveHead first = numbers.next(true), second = numbers.next(true), third = numbers.next(true);
  EXPECT_EQ(there.take(1, second), What::kGap);
  EXPECT_TRUE(here.pass(1, second.number));
  EXPECT_FALSE(here.pass(1, second.number));
  EXPECT_EQ(here.take(1, first), What::kLate);
  EXPECT_EQ(here.take(1, third), What::kNext);
}

// Random histories: a sender whose connections, to any core of the receiver, break while something is on its
// way or waits for one; a receiver that begins anew; mail between its cores that takes its time. Whatever
// happens:
// - What counts is taken, or a gap is found behind it, by the receiver that there was when it was sent.
// - On each core what is taken is in order, and over all cores where their mail is quick; nothing is twice.
// - A receiver of one core finds no gap where nothing is missing.
// - In the end the sender knows that all is told.
class History {
 public:
  explicit History(std::uint64_t seed)
      : random_(seed), quick_mail_(random_.chance(1, 2)), cores_(1 + random_.below(3)) {
    start_receiver();
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) step();
    settle();
  }

 private:
  struct Sent {
    std::uint64_t epoch = 0;  // of the receiver
    bool counts = false;
    bool taken = false;
    bool told = false;
  };
  struct Connection {
    std::size_t core = 0;
    std::deque<LiveHead> on_its_way;
    std::deque<std::uint64_t> answers;
    std::set<std::uint64_t> unanswered;
  };
  struct Pass {
    std::size_t core;
    std::uint64_t number;
  };

  void step() {
    switch (random_.below(12)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return send(random_.chance(2, 3));
      case 4:
        return connect();
      case 5:
        if (random_.chance(1, 4)) break_connection();
        return;
      case 6:
        if (random_.chance(1, 10)) start_receiver();
        return;
      case 7:
        if (!waiting_.empty() && random_.chance(1, 3)) lose_waiting();
        return;
      case 8:
        return answer();
      case 9:
        return deliver_mail();
      default:
        return deliver();
    }
  }

  void send(bool counts) {
    const LiveHead head = numbers_.next(counts);
    sent_[head.number] = {.epoch = epoch_, .counts = counts};
    waiting_.push_back(head);
    if (now_) send_waiting();
  }
  void send_waiting() {
    for (const LiveHead& head : waiting_) {
      connections_[*now_].on_its_way.push_back(head);
      connections_[*now_].unanswered.insert(head.number);
    }
    waiting_.clear();
  }
  void connect() {
    if (now_) return;
    now_ = connections_.size();
    connections_.push_back({.core = random_.below(cores_)});
    send_waiting();
  }
  void break_connection() {
    if (!now_) return;
    Connection& broken = connections_[*now_];
    now_.reset();
    for (const std::uint64_t number : broken.unanswered) numbers_.on_lost(number);
    broken.unanswered.clear();
    broken.answers.clear();
    while (!broken.on_its_way.empty() && random_.chance(1, 2)) broken.on_its_way.pop_back();
  }
  void lose_waiting() {
    numbers_.on_lost(waiting_.front().number);
    waiting_.pop_front();
  }
  void start_receiver() {
    break_connection();
    ++epoch_;
    for (Connection& connection : connections_) connection.on_its_way.clear();
    mail_.clear();
    highest_.assign(cores_, 0);
    arrivals_.assign(cores_, {});
  }

  void deliver() {
    std::vector<std::size_t> with;
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      if (!connections_[i].on_its_way.empty()) with.push_back(i);
    }
    if (with.empty()) return;
    const std::size_t which = with[random_.below(with.size())];
    Connection& connection = connections_[which];
    const LiveHead head = connection.on_its_way.front();
    connection.on_its_way.pop_front();
    take(connection.core, head);
    if (now_ == which) connection.answers.push_back(head.number);
  }
  void take(std::size_t core, const LiveHead& head) {
    const What what = arrivals_[core].take(1, head);
    if (what == What::kLate) return;
    RC_ASSERT(head.number > highest_[core]);
    if (quick_mail_) RC_ASSERT(head.number > *std::ranges::max_element(highest_));
    highest_[core] = head.number;
    RC_ASSERT(!std::exchange(sent_.at(head.number).taken, true));
    bool missing = false;
    for (auto& [number, one] : sent_) {
      if (number >= head.number || one.epoch != epoch_ || !one.counts || one.taken || one.told) continue;
      missing = true;
      one.told = true;
    }
    if (missing) RC_ASSERT(what == What::kGap);
    if (cores_ == 1 && epoch_ == 1 && !missing) RC_ASSERT(what == What::kNext);
    for (std::size_t other = 0; other < cores_; ++other) {
      if (other != core) mail_.push_back({other, head.number});
    }
    while (quick_mail_ && !mail_.empty()) deliver_mail();
  }
  void deliver_mail() {
    if (mail_.empty()) return;
    arrivals_[mail_.front().core].pass(1, mail_.front().number);
    mail_.pop_front();
  }
  void answer() {
    if (!now_ || connections_[*now_].answers.empty()) return;
    const std::uint64_t number = connections_[*now_].answers.front();
    connections_[*now_].answers.pop_front();
    connections_[*now_].unanswered.erase(number);
    numbers_.on_answer(number);
  }

  void arrive() {
    for (int i = 0; i < 2000; ++i) {
      deliver();
      deliver_mail();
      answer();
    }
  }
  void settle() {
    arrive();
    break_connection();
    connect();
    arrive();
    for (int tries = 0; numbers_.untold(); ++tries) {
      RC_ASSERT(tries < 1);
      send(false);
      arrive();
    }
    for (const auto& [number, one] : sent_) {
      RC_ASSERT(!one.counts || one.epoch != epoch_ || one.taken || one.told);
    }
    send(true);
    const LiveHead next = numbers_.next(true);
    RC_ASSERT(next.after == next.number - 1);
  }

  runtime::Random random_;
  const bool quick_mail_;
  const std::size_t cores_;
  LiveNumbers numbers_{0};
  std::map<std::uint64_t, Sent> sent_;
  std::deque<LiveHead> waiting_;
  std::vector<Connection> connections_;
  std::optional<std::size_t> now_;
  std::uint64_t epoch_ = 0;
  std::vector<LiveArrivals> arrivals_;
  std::vector<std::uint64_t> highest_;
  std::deque<Pass> mail_;
};

TEST(LiveNumbersModel, WhatCountsIsTakenOrMissed) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) { History(seed).run(300); }));
}

}  // namespace
}  // namespace stele::broker
