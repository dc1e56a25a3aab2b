#include "base/mutants.h"

#ifdef STELE_MUTANTS
#include <algorithm>
#include <array>
#include <iterator>

#include "base/mutants_of_raft.h"
#endif

namespace stele {
#ifdef STELE_MUTANTS
namespace {
constexpr MutantInfo kMutants[] = {
    {Mutant::kAcknowledgeBeforeSync, "ack-before-sync", "the log acknowledges a write before its sync"},
    {Mutant::kSkipCrcAtRecovery, "skip-crc", "recovery does not check entry checksums"},
    {Mutant::kLoseLastBatchOnRoll, "lose-batch-on-roll", "the last batch is lost when a file rolls"},
    {Mutant::kDeliverBeforeCommit, "deliver-before-commit",
     "a message is delivered before its entry commits"},
    {Mutant::kSnapshotOfUncommittedState, "snapshot-uncommitted",
     "a snapshot of uncommitted state is published"},
    {Mutant::kForwardCursorNotStored, "forward-cursor", "the forward cursor is not stored with its entry"},
    {Mutant::kPubrecBeforeCommit, "pubrec-before-commit", "PUBREC leaves before the message's entry commits"},
    {Mutant::kPubcompBeforeCommit, "pubcomp-before-commit", "PUBCOMP leaves before the release commits"},
    {Mutant::kReleaseNotLogged, "release-not-logged", "a released packet identifier is not logged"},
    {Mutant::kUnreleasedForgottenAtTakeOver, "qos2-forgotten-at-take-over",
     "QoS 2 packet identifiers are forgotten when a client connects anew"},
    {Mutant::kQos2HomeMoves, "qos2-home-moves", "a QoS 2 message goes to another home than its session's"},
    {Mutant::kPublishBeforeNumberCommits, "publish-before-number",
     "a QoS 2 PUBLISH leaves before its packet identifier commits"},
    {Mutant::kPubrelBeforeCommit, "pubrel-before-commit", "PUBREL leaves before PUBREC commits"},
    {Mutant::kListOffsetsOffByOne, "list-offsets", "ListOffsets is off by one after retention"},
    {Mutant::kGroupGenerationNotFenced, "group-generation",
     "a member of an earlier generation of its group may commit offsets"},
    {Mutant::kOffsetCommitBeforeCommit, "offset-commit",
     "an offset commit is answered before its entry commits"},
    {Mutant::kAclNotAsked, "acl-not-asked", "nobody asks whether a client may publish where it does"},
    {Mutant::kSequenceNotChecked, "no-sequence-check",
     "a batch that an idempotent producer sends again is written again"},
    {Mutant::kDuplicateBeforeCommit, "duplicate-before-commit",
     "what is sent again is answered before the original commits"},
    {Mutant::kSharedNotGivenBack, "shared-not-given-back",
     "what a member of a shared subscription has not settled when it goes is given to nobody"},
    {Mutant::kWillForgotten, "will-forgotten", "a delayed will is forgotten"},
    {Mutant::kWillAfterDisconnect, "will-after-disconnect", "a will is published after DISCONNECT too"},
    {Mutant::kWillNotKept, "will-not-kept", "snapshots have no wills"},
    {Mutant::kExpiredDelivered, "expired-delivered", "an expired message is delivered"},
    {Mutant::kAckOfWrongSession, "ack-of-wrong-session",
     "an acknowledgement settles the message for another session of the shard"},
    {Mutant::kTimeGoesBack, "time-back", "a shard's time begins anew with every owner"},
    {Mutant::kRetainedOverwritten, "retained-overwritten",
     "a retained message goes another way than one before it that is still under way"},
    {Mutant::kEndBeforeCommit, "end-before-commit", "ListOffsets counts records that are not committed"},
    {Mutant::kOffsetsBeforeCommit, "offsets-before-commit",
     "OffsetFetch is answered before the offsets commit"},
    {Mutant::kOffsetNotLowered, "offset-not-lowered",
     "an offset below the one committed before is acknowledged and ignored"},
    {Mutant::kSubscribedBeforeRouted, "subscribed-before-routed",
     "a subscription is confirmed before every core routes by it"},
    {Mutant::kUnsubscribedBeforeCommit, "unsubscribed-before-commit",
     "nothing is routed to a subscription whose end is not committed"},
    {Mutant::kTopicBeforeRouted, "topic-before-routed",
     "a change of a topic is confirmed before every core routes by it"},
    {Mutant::kRetainedBeforeCommit, "retained-before-commit",
     "a subscriber is given retained messages that are not committed"},
    {Mutant::kTenantForgotten, "tenant-forgotten",
     "messages of any tenant are queued for the sessions of the first"},
    {Mutant::kOrderOfAddresses, "order-of-addresses",
     "events of one instant happen in the order of their addresses", false},
    {Mutant::kOrderOfHashMap, "order-of-hash-map",
     "what is to be done at a turn's end is done in a hash map's order", false},
    {Mutant::kUninitialisedByte, "uninitialised-byte",
     "how long a turn takes depends on memory that nobody has set", false},
};
constexpr auto kAll = [] {
  std::array<MutantInfo, std::size(kMutants) + std::size(kMutantsOfRaft) + std::size(kMutantsOfCluster)>
      all{};
  const auto more = std::ranges::copy(kMutantsOfRaft, std::ranges::copy(kMutants, all.begin()).out).out;
  std::ranges::copy(kMutantsOfCluster, more);
  return all;
}();
Mutant selected = Mutant::kNone;
}  // namespace
std::span<const MutantInfo> all_mutants() {
  return kAll;
}
void select_mutant(Mutant mutant) {
  selected = mutant;
}
bool mutant(Mutant which) {
  return selected == which;
}
#else
std::span<const MutantInfo> all_mutants() {
  return {};
}
#endif

std::optional<Mutant> find_mutant(std::string_view name) {
  for (const MutantInfo& info : all_mutants()) {
    if (info.name == name) return info.mutant;
  }
  return std::nullopt;
}

}  // namespace stele
