// Random histories of a core that publishes to shards whose owners change, are nobody, refuse, do not serve,
// or are lost before they have answered. Whatever happens:
// - Every publish is answered, once, and as refused only when patience is over.
// - What a shard keeps is in the order of publishing, each once. (Of what the shard itself would know again,
//   the second one is not stored.)
// - What is told is true: kept, or not kept, or that nobody knows.
// - Only one owner is sent anything at a time.
#include "broker/lanes.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runtime/random.h"
#include "runtime/scope.h"
#include "runtime/task.h"
#include "sim/host.h"
#include "sim/world.h"

namespace stele::broker {
namespace {

using runtime::Task;
using namespace std::chrono_literals;

constexpr std::uint32_t kShards = 2;
constexpr runtime::Duration kPatience = 10s;

const Error kRefused{ErrorCode::kUnavailable, "not here, not now"};

class History final : private Lanes::Host {
 public:
  History(runtime::Runtime& runtime, std::uint64_t seed, bool& done, std::string& wrong)
      : runtime_(runtime), random_(seed), lanes_(*this, kPatience), done_(done), wrong_(wrong) {
    scope_.spawn(run());
  }

 private:
  struct Published {
    ShardId shard;
    std::uint32_t publisher;
    runtime::Instant at;
    bool once = false;
    int answers = 0;
  };
  // Somebody who may own a shard, and the way to it.
  struct Owner {
    bool serves = true;
    std::optional<std::uint32_t> refused;  // generation
    std::deque<DataMail> on_its_way;
    std::deque<DataAnswerMail> answers;
  };
  struct Shard {
    std::optional<Place> place = Place(CoreId(0));
    std::map<Place, Owner> owners;
    std::vector<std::uint64_t> kept;  // by their numbers
    std::set<std::uint64_t> known;
    // By publisher: of what was published before that, nothing more may be kept, for something was given up.
    std::map<std::uint32_t, std::uint64_t> broken;
  };

  void expect(bool so, const char* what) {
    if (!so) wrong_ = what;
  }

  // ---- Lanes::Host
  runtime::Runtime& runtime() override { return runtime_; }
  std::optional<Place> place_of(ShardId shard) const override { return shards_.at(shard).place; }
  Error nobody_owns(ShardId) const override { return kRefused; }
  void send(Place to, DataMail mail) override {
    Shard& shard = shards_.at(mail.shard);
    // What is under way to one owner is answered before another one is sent anything.
    for (const auto& [place, owner] : shard.owners) {
      if (place != to)
        expect(owner.on_its_way.empty() && owner.answers.empty(), "sent to two owners at a time");
    }
    if (to.here()) {
      lanes_.on_answer(take(shard, to, mail));
    } else {
      shard.owners[to].on_its_way.push_back(std::move(mail));
    }
  }
  void answer(DataAnswerMail answer) override {
    Published& one = published_.at(answer.reply.ticket);
    expect(++one.answers == 1, "answered twice");
    expect(answer.reply.kind == ReplyTo::Kind::kPublisher, "not answered as a publisher");
    const bool kept = shards_.at(one.shard).known.contains(answer.reply.ticket);
    if (!answer.error) expect(kept, "told to be kept, and is not");
    if (answer.error && !answer.unknown) expect(!kept, "told not to be kept, and is");
    const runtime::Duration took = runtime_.now() - one.at;
    const bool unavailable = answer.error && answer.error->code == ErrorCode::kUnavailable;
    std::uint64_t& broken = shards_.at(one.shard).broken[one.publisher];
    if (unavailable && !answer.unknown) {
      expect(took >= kPatience || given_up_ || answer.reply.ticket < broken,
             "refused before patience was over");
    }
    if (unavailable && (!answer.unknown || one.once) && took >= kPatience) broken = published_.size();
    if (random_.chance(1, 4) && published_.size() < 500) publish();
  }

  DataAnswerMail take(Shard& shard, Place place, const DataMail& mail) {
    Owner& owner = shard.owners[place];
    DataAnswerMail answer;
    answer.reply = mail.reply;
    const std::uint64_t number = mail.data.publisher_hash;
    if (owner.refused == mail.generation || !owner.serves || shard.place != place) {
      owner.refused = mail.generation;
      answer.error = kRefused;
      return answer;
    }
    // What a shard has no room for it may take the next time: then it comes behind others.
    if (!mail.once && random_.chance(1, 20)) {
      answer.error = Error{ErrorCode::kNoSpace, "no room"};
      return answer;
    }
    if (!shard.known.insert(number).second) {
      expect(mail.once.has_value(), "kept twice");
      return answer;
    }
    expect(shard.kept.empty() || shard.kept.back() < number, "kept out of order");
    expect(number >= shard.broken[published_.at(number).publisher], "kept behind what was given up");
    shard.kept.push_back(number);
    return answer;
  }

  // ---- what happens
  Shard& any_shard() { return shards_.at(ShardId(static_cast<std::uint32_t>(random_.below(kShards)))); }
  Place any_place() {
    return random_.chance(1, 3) ? Place(CoreId(0))
                                : Place(NodeId(2 + static_cast<std::uint32_t>(random_.below(2))));
  }
  void publish() {
    const std::uint64_t number = published_.size();
    DataMail mail;
    mail.shard = ShardId(static_cast<std::uint32_t>(random_.below(kShards)));
    const auto publisher = static_cast<std::uint32_t>(1 + random_.below(3));
    mail.reply = {ReplyTo::Kind::kPublisher, CoreId(0), publisher, number};
    mail.data.publisher_hash = number;
    if (random_.chance(1, 4)) mail.once = OnceId{.session = 1, .epoch = 1, .packet_id = 1};
    published_.push_back(
        {.shard = mail.shard, .publisher = publisher, .at = runtime_.now(), .once = mail.once.has_value()});
    lanes_.publish(std::move(mail));
  }
  void arrive(Owner& owner, Shard& shard, Place place) {
    if (owner.on_its_way.empty()) return;
    const DataMail mail = std::move(owner.on_its_way.front());
    owner.on_its_way.pop_front();
    owner.answers.push_back(take(shard, place, mail));
  }
  void be_answered(Owner& owner) {
    if (owner.answers.empty()) return;
    // In any order: what one waits for may take longer.
    const std::size_t which = random_.chance(1, 3) ? random_.below(owner.answers.size()) : 0;
    DataAnswerMail answer = std::move(owner.answers[which]);
    owner.answers.erase(owner.answers.begin() + static_cast<std::ptrdiff_t>(which));
    lanes_.on_answer(answer);
  }
  // Whether what was on its way has arrived, nobody knows.
  void lose_connection(Owner& owner, Shard& shard, Place place) {
    while (!owner.on_its_way.empty() && random_.chance(1, 2)) arrive(owner, shard, place);
    std::vector<DataAnswerMail> lost;
    for (const DataAnswerMail& answer : std::exchange(owner.answers, {})) lost.push_back(answer);
    for (const DataMail& mail : std::exchange(owner.on_its_way, {})) lost.push_back({.reply = mail.reply});
    for (DataAnswerMail& answer : lost) {
      answer.error = kRefused;
      answer.unknown = true;
      lanes_.on_answer(answer);
    }
    owner.refused.reset();  // lanes are named by their connection
  }

  void step() {
    Shard& shard = any_shard();
    switch (random_.below(10)) {
      case 0:
      case 1:
      case 2:
        if (published_.size() < 400) publish();
        return;
      case 3:
        if (!random_.chance(1, 5)) return;
        shard.place = random_.chance(1, 4) ? std::nullopt : std::optional(any_place());
        lanes_.on_view();
        return;
      case 4:
        if (random_.chance(1, 3)) shard.owners[any_place()].serves = random_.chance(2, 3);
        return;
      case 5:
        if (!random_.chance(1, 6)) return;
        for (auto& [place, owner] : shard.owners) {
          if (!place.here()) lose_connection(owner, shard, place);
        }
        return;
      default:
        for (auto& [place, owner] : shard.owners) {
          if (random_.chance(1, 2)) arrive(owner, shard, place);
          if (random_.chance(1, 2)) be_answered(owner);
        }
    }
  }
  void all_arrives() {
    for (auto& [id, shard] : shards_) {
      for (auto& [place, owner] : shard.owners) {
        while (!owner.on_its_way.empty()) arrive(owner, shard, place);
        while (!owner.answers.empty()) be_answered(owner);
      }
    }
  }

  Task<void> run() {
    for (std::uint32_t shard = 0; shard < kShards; ++shard) shards_[ShardId(shard)] = {};
    for (int i = 0; i < 400; ++i) {
      step();
      if (random_.chance(1, 3)) {
        co_await runtime::sleep(runtime_,
                                std::chrono::milliseconds(random_.below(random_.chance(1, 50) ? 4000 : 15)));
      }
    }
    if (random_.chance(1, 4)) {
      given_up_ = true;
      lanes_.give_up();
    }
    for (auto& [id, shard] : shards_) {
      if (!shard.place) shard.place = any_place();
      for (auto& [place, owner] : shard.owners) owner.serves = true;
    }
    lanes_.on_view();
    for (int i = 0; i < 100; ++i) {
      all_arrives();
      co_await runtime::sleep(runtime_, 10ms);
    }
    for (const Published& one : published_) expect(one.answers == 1, "not answered");
    expect(lanes_.waiting() == 0u, "something waits for ever");
    done_ = true;
  }

  runtime::Runtime& runtime_;
  runtime::Random random_;
  std::map<ShardId, Shard> shards_;
  std::vector<Published> published_;
  bool given_up_ = false;
  Lanes lanes_;
  bool& done_;
  std::string& wrong_;
  runtime::Scope scope_;  // last
};

class Program final : public sim::Program {
 public:
  Program(sim::ProcessContext& process, std::uint64_t seed, bool& done, std::string& wrong)
      : history_(process.core(0), seed, done, wrong) {}

 private:
  History history_;
};

TEST(LanesModel, WhatIsPublishedIsAnsweredAndInOrder) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    bool done = false;
    std::string wrong;
    sim::World world(seed);
    world.add_host("node").boot(1, [&](sim::ProcessContext& process) {
      return std::make_unique<Program>(process, seed, done, wrong);
    });
    world.run_until([&] { return done; }, 10min);
    RC_ASSERT(done);
    RC_ASSERT(wrong == "");
  }));
}

}  // namespace
}  // namespace stele::broker
