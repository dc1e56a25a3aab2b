#include "broker/share_group.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants.h"

namespace stele::broker {

ShareGroup::Place* ShareGroup::find(std::uint64_t attachment) {
  const auto found = std::ranges::find_if(
      members_, [&](const Place& place) { return place.member.attachment == attachment; });
  return found == members_.end() ? nullptr : &*found;
}

void ShareGroup::join(Member member) {
  ++changes_;
  if (Place* there = find(member.attachment)) {
    member.started |= there->member.started;
    there->member = std::move(member);
    return;
  }
  members_.push_back({std::move(member), {}, 0});
}

void ShareGroup::start(std::uint64_t attachment) {
  if (Place* there = find(attachment)) there->member.started = true;
}

std::size_t ShareGroup::leave(std::uint64_t attachment) {
  Place* there = find(attachment);
  if (!there) return 0;
  ++changes_;
  std::size_t left = 0;
  for (const Given& one : there->given) {
    if (one.final || mutant(Mutant::kSharedNotGivenBack)) continue;
    STELE_MARK("share: a member's messages go to others");
    again_.insert(one.at);
    ++left;
  }
  const auto place = static_cast<std::size_t>(there - members_.data());
  members_.erase(members_.begin() + static_cast<std::ptrdiff_t>(place));
  if (place < turn_) --turn_;
  return left;
}

bool ShareGroup::has(std::string_view client_id) const {
  return std::ranges::any_of(members_,
                             [&](const Place& place) { return place.member.client_id == client_id; });
}

std::vector<ShareGroup::Member> ShareGroup::members() const {
  std::vector<Member> all;
  for (const Place& place : members_) all.push_back(place.member);
  return all;
}

QueuePosition ShareGroup::next(QueuePosition first) {
  again_.erase(again_.begin(), again_.lower_bound(first));
  next_ = std::max(next_, first);
  return again_.empty() ? next_ : *again_.begin();
}

void ShareGroup::skip() {
  if (again_.empty()) {
    ++next_;
  } else {
    again_.erase(again_.begin());
  }
}

const ShareGroup::Member* ShareGroup::choose() {
  for (std::size_t tried = 0; tried < members_.size(); ++tried) {
    chosen_ = (turn_ + tried) % members_.size();
    if (members_[chosen_].has_room()) return &members_[chosen_].member;
  }
  return nullptr;
}

void ShareGroup::give(Lsn lsn, std::uint32_t index, std::uint64_t bytes, bool final) {
  STELE_ASSERT(chosen_ < members_.size() && members_[chosen_].has_room());
  Place& to = members_[chosen_];
  to.given.push_back({again_.empty() ? next_ : *again_.begin(), lsn, index, bytes, final});
  to.bytes += bytes;
  turn_ = (chosen_ + 1) % members_.size();
  skip();
}

// Clients settle in the order of receiving, nearly.
ShareGroup::Settled ShareGroup::settle(std::uint64_t attachment, Lsn lsn, std::uint32_t index) {
  Place* of = find(attachment);
  if (!of) return Settled::kUnknown;
  const auto found =
      std::ranges::find_if(of->given, [&](const Given& one) { return one.lsn == lsn && one.index == index; });
  if (found == of->given.end()) return Settled::kUnknown;
  const bool final = found->final;
  of->bytes -= found->bytes;
  of->given.erase(found);
  return final ? Settled::kGone : Settled::kQueued;
}

}  // namespace stele::broker
