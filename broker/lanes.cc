#include "broker/lanes.h"

#include <map>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"

namespace stele::broker {

using runtime::Task;
using namespace std::chrono_literals;

namespace {
// Before a lane begins anew: an owner is found, or begins to serve, within some hundreds of milliseconds.
constexpr runtime::Duration kPause = 20ms;
}  // namespace

Lanes::~Lanes() = default;

std::size_t Lanes::waiting() const {
  std::size_t all = 0;
  for (const auto& [shard, lane] : lanes_) all += lane.waiting.size();
  return all;
}

bool Lanes::too_old(const Waiting& one) const {
  return given_up_ || host_.runtime().now() - one.since >= patience_;
}

void Lanes::publish(DataMail mail) {
  const ShardId shard = mail.shard;
  Lane& lane = lanes_[shard];
  lane.waiting.push_back(
      {.mail = std::move(mail), .since = host_.runtime().now(), .state = State::kUnsent, .refused = {}});
  send(shard, lane);
}

void Lanes::on_view() {
  for (auto& [shard, lane] : lanes_) send(shard, lane);
}

void Lanes::give_up() {
  given_up_ = true;
  for (auto& [shard, lane] : lanes_) {
    if (lane.under_way == 0) begin_anew(shard, lane);
  }
}

void Lanes::send(ShardId shard, Lane& lane) {
  if (lane.refused || lane.pausing || lane.sent == lane.waiting.size()) return;
  const std::optional<Place> place = host_.place_of(shard);
  if (lane.under_way > 0 && lane.place != place) return;  // behind those that are under way elsewhere
  if (!place) {
    for (std::size_t i = lane.sent; i < lane.waiting.size(); ++i) {
      lane.waiting[i].state = State::kRefused;
      lane.waiting[i].refused = host_.nobody_owns(shard);
    }
    lane.sent = lane.waiting.size();
    lane.refused = true;
    return begin_anew(shard, lane);
  }
  lane.place = place;
  while (lane.sent < lane.waiting.size() && !lane.refused && !lane.pausing) {
    Waiting& one = lane.waiting[lane.sent];
    const std::uint64_t number = lane.first + lane.sent++;
    one.state = State::kSent;
    ++lane.under_way;
    DataMail mail = one.mail;
    mail.data.room = std::move(one.mail.data.room);  // the first time: then the memory is the owner's
    mail.reply = {ReplyTo::Kind::kLane, host_.runtime().core(), shard.value, number};
    mail.generation = lane.generation;
    host_.send(*place, std::move(mail));  // may answer at once
  }
}

void Lanes::on_answer(const DataAnswerMail& answer) {
  const ShardId shard(answer.reply.publisher);
  const auto found = lanes_.find(shard);
  if (found == lanes_.end()) return;
  Lane& lane = found->second;
  const std::uint64_t number = answer.reply.ticket;
  if (number < lane.first || number - lane.first >= lane.waiting.size()) return;
  Waiting& one = lane.waiting[number - lane.first];
  if (one.state != State::kSent) return;
  STELE_ASSERT(lane.under_way > 0);
  --lane.under_way;
  // What is lost with it may have to be sent again, and nothing of the same publisher before that.
  if (answer.unknown) lane.refused = true;
  const bool kept_once = !answer.unknown || one.mail.once.has_value();
  if (answer.error && answer.error->code == ErrorCode::kUnavailable && kept_once) {
    one.state = State::kRefused;
    one.refused = answer.error;
    one.unknown |= answer.unknown;
    lane.refused = true;
  } else {
    finish(one, answer);
    while (!lane.waiting.empty() && lane.waiting.front().state == State::kDone) {
      lane.waiting.pop_front();
      ++lane.first;
      --lane.sent;
    }
  }
  if (lane.under_way > 0) return;
  if (lane.refused) return begin_anew(shard, lane);
  send(shard, lane);
}

void Lanes::finish(Waiting& one, const DataAnswerMail& answer) {
  one.state = State::kDone;
  DataAnswerMail told = answer;
  told.reply = one.mail.reply;
  // With QoS 2 the shard may have it from an earlier connection, and has not looked. An error that is certain
  // would say that the packet identifier is free.
  const bool not_looked = one.mail.once && told.error && told.error->code == ErrorCode::kUnavailable;
  told.unknown |= told.error && (one.unknown || not_looked);
  one.mail = {};
  host_.answer(std::move(told));
}

// What was refused goes first, in its order, with all behind it; but what has waited too long is given up.
void Lanes::begin_anew(ShardId shard, Lane& lane) {
  if (lane.pausing && !given_up_) return;
  STELE_MARK("lanes: begins anew");
  lane.refused = true;  // whoever is answered here may publish more: that waits too
  std::deque<Waiting> again;
  // By publisher: what it has sent behind what is given up must not come before it. Not what it sends once it
  // knows.
  std::map<std::uint64_t, std::size_t> given_up;
  for (std::size_t i = 0; i < lane.waiting.size(); ++i) {
    Waiting& one = lane.waiting[i];
    if (one.state == State::kDone) continue;
    const auto behind = given_up.find(one.mail.reply.publisher);
    const bool old = too_old(one);
    if (old || (behind != given_up.end() && i < behind->second)) {
      if (old) given_up[one.mail.reply.publisher] = lane.waiting.size();
      DataAnswerMail answer;
      answer.error = one.refused ? *one.refused : host_.nobody_owns(shard);
      finish(one, answer);
      continue;
    }
    one.state = State::kUnsent;
    again.push_back(std::move(one));
  }
  // Numbers are not used twice: what was told of them before is of those that are gone.
  lane.first += lane.waiting.size();
  lane.waiting = std::move(again);
  lane.sent = 0;
  lane.refused = false;
  ++lane.generation;
  if (lane.waiting.empty() || given_up_) return;
  lane.pausing = true;
  scope_.spawn(pause(shard));
}

Task<void> Lanes::pause(ShardId shard) {
  const bool slept = co_await runtime::sleep(host_.runtime(), kPause, scope_.token());
  Lane& lane = lanes_.at(shard);
  lane.pausing = false;
  if (slept) send(shard, lane);
}

}  // namespace stele::broker
