#include "raft/core/testing/describe.h"

#include <string_view>

namespace stele::raft {
namespace {

std::string number(std::uint64_t value) {
  return std::to_string(value);
}

std::string entries(const std::vector<Entry>& all) {
  std::string out = "[";
  for (const Entry& entry : all) out += (out.size() > 1 ? ", " : "") + describe(entry);
  return out + "]";
}

struct BodyText {
  std::string operator()(const VoteRequest& b) const {
    return std::string(b.pre ? "PreVote" : "Vote") + " last=" + describe(b.last) +
           (b.transfer ? " transfer" : "");
  }
  std::string operator()(const VoteAnswer& b) const {
    return std::string(b.pre ? "PreVoteAnswer" : "VoteAnswer") + (b.granted ? " granted" : " refused");
  }
  std::string operator()(const Append& b) const {
    return "Append after=" + describe(b.previous) + " commit=" + number(b.commit.value) + " " +
           entries(b.entries);
  }
  std::string operator()(const AppendAnswer& b) const {
    if (b.result == AppendResult::kStored) return "AppendAnswer stored=" + number(b.index.value);
    const std::string_view what = b.result == AppendResult::kRejected ? "rejected=" : "uncertain=";
    return "AppendAnswer " + std::string(what) + number(b.index.value) + " hint=" + describe(b.hint);
  }
  std::string operator()(const Heartbeat& b) const {
    return "Heartbeat commit=" + number(b.commit.value) +
           (b.read_round ? " round=" + number(b.read_round) : "");
  }
  std::string operator()(const HeartbeatAnswer& b) const {
    return std::string("HeartbeatAnswer") + (b.read_round ? " round=" + number(b.read_round) : "");
  }
  std::string operator()(const TermNotice&) const { return "TermNotice"; }
  std::string operator()(const ReadRequest& b) const { return "ReadRequest context=" + number(b.context); }
  std::string operator()(const ReadAnswer& b) const {
    return "ReadAnswer context=" + number(b.context) + " index=" + number(b.index.value);
  }
  std::string operator()(const TimeoutNow&) const { return "TimeoutNow"; }
  std::string operator()(const InstallSnapshot& b) const { return "InstallSnapshot " + describe(b.snapshot); }
  std::string operator()(const RepairRequest& b) const {
    return "RepairRequest " + number(b.slots.first.value) + ".." + number(b.slots.last.value) + " below " +
           describe(b.next);
  }
  std::string operator()(const RepairAnswer& b) const {
    return "RepairAnswer " + number(b.slots.first.value) + ".." + number(b.slots.last.value) + " below " +
           describe(b.next) + (b.same_log ? " " + entries(b.entries) : " not here");
  }
};

}  // namespace

std::string describe(const NodeSet& nodes) {
  std::string out = "(";
  for (const NodeId node : nodes) out += (out.size() > 1 ? " " : "") + number(node.value);
  return out + ")";
}

std::string describe(const Membership& members) {
  std::string out = "voters=" + describe(members.voters);
  if (members.joint()) out += "&" + describe(members.voters_outgoing);
  if (!members.learners.empty()) out += " learners=" + describe(members.learners);
  if (!members.learners_next.empty()) out += " learners_next=" + describe(members.learners_next);
  return out + (members.auto_leave ? " auto" : "");
}

std::string describe(LogPoint point) {
  return number(point.term.value) + "/" + number(point.index.value);
}

std::string describe(const Entry& entry) {
  std::string out = describe(LogPoint{entry.term, entry.index});
  if (entry.kind == EntryKind::kCommand) out += " \"" + std::string(entry.payload.view()) + "\"";
  if (entry.membership) out += " " + describe(*entry.membership);
  return out;
}

std::string describe(const SnapshotInfo& snapshot) {
  return describe(LogPoint{snapshot.term, snapshot.index}) + " " + describe(snapshot.membership);
}

std::string describe(const PeerMessage& message) {
  return number(message.from.value) + "->" + number(message.to.value) +
         " term=" + number(message.term.value) + " " + std::visit(BodyText{}, message.body);
}

std::string describe(Role role) {
  constexpr std::string_view kNames[] = {"follower", "pre-candidate", "candidate", "leader"};
  return std::string(kNames[static_cast<std::size_t>(role)]);
}

std::string describe(Refusal refusal) {
  constexpr std::string_view kNames[] = {
      "ok",           "not leader",       "transferring",  "too much uncommitted",
      "apply behind", "change under way", "not caught up", "malformed",
      "no such voter"};
  return std::string(kNames[static_cast<std::size_t>(refusal)]);
}

std::string describe(ProgressState state) {
  constexpr std::string_view kNames[] = {"probe", "replicate", "snapshot"};
  return std::string(kNames[static_cast<std::size_t>(state)]);
}

}  // namespace stele::raft
