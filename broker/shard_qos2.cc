// QoS 2 of persistent sessions: packet identifiers that outlive a connection (section 4.3.3 of MQTT 5.0).
// What there is to know of them is state of the shard; here is what its owner does with them.
//
// To the client: a message gets its identifier by an entry (number), and PUBLISH leaves when that is
// committed. PUBREC becomes an entry (accept), and PUBREL leaves when that is committed. PUBCOMP is logged
// without waiting: if that is lost, PUBREL is sent once more. From the client: PUBREL becomes an entry
// (complete), and PUBCOMP leaves when that is committed; PUBLISH and PUBREC are in shard_data.cc.
#include <algorithm>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants.h"
#include "broker/control.h"
#include "broker/shard.h"

namespace stele::broker {

// Gives identifiers to what is going to be sent, as soon as it is appended: then one commit is enough.
void Shard::number(std::span<const std::uint64_t> attachments) {
  if (!writable()) return;
  numbered_.clear();
  const Lsn lsn = state_.next();
  for (std::uint64_t attachment : attachments) {
    Connected* to = connection(attachment);
    if (!to || !to->started) continue;
    const SessionState* session = session_of(*to);
    if (!session) continue;
    const std::size_t before = numbered_.size();
    const QueuePosition from = std::max({to->numbered, to->next, session->first()});
    const QueuePosition horizon = std::max(to->next, session->first()) + to->receive_maximum;
    to->numbered = decide::number(*session, from, horizon, to->receive_maximum, numbered_);
    if (numbered_.size() > before) to->numbering.push_back({from, lsn});
  }
  if (!numbered_.empty()) append(control::numbered(now(), numbered_));
}

// Whether the item, which is the next one, may be sent.
bool Shard::is_numbered(Connected& to, const QueueItem& item, Lsn committed) const {
  if (item.qos != 2) return true;
  while (!to.numbering.empty() && to.numbering.front().second < committed) to.numbering.pop_front();
  if (item.packet_id == 0) return false;
  return to.numbering.empty() || to.next < to.numbering.front().first ||
         mutant(Mutant::kPublishBeforeNumberCommits);
}

// Identifiers that the client may still hold and that nobody has told it about on this connection.
void Shard::look_for_releases(Connected& to, const SessionState& session) {
  to.look_for_releases = false;
  const Lsn seen = state_.next() == Lsn() ? Lsn() : state_.next() - 1;
  for (std::uint16_t id : session.releasing()) {
    if (!to.under_way.insert(id).second) continue;
    STELE_MARK("shard: PUBREL for a message of an earlier connection");
    ++to.in_flight;
    told_.push_back({seen, to.attachment, id, Told::What::kRelease});
  }
  wake_at_turn_end();
}

void Shard::accept(std::uint64_t attachment, SettleToken token) {
  Connected* connected = connection(attachment);
  if (!connected || !take_sent(*connected, token)) return;
  accepted_.push_back({token.lsn, connected->session_number, token.index});
  accepted_by_.push_back({attachment, token.packet_id, true});
  mark_dirty(*connected);
}

void Shard::release(std::uint64_t attachment, std::uint16_t packet_id) {
  Connected* connected = connection(attachment);
  if (!connected || connected->under_way.erase(packet_id) == 0) return;
  --connected->in_flight;
  released_.push_back({connected->session_number, packet_id});
  mark_dirty(*connected);
}

void Shard::complete(std::uint64_t attachment, std::uint16_t packet_id) {
  Connected* connected = connection(attachment);
  const SessionState* session = connected ? session_of(*connected) : nullptr;
  if (!session) return;
  const bool known = session->unreleased(packet_id) != nullptr;
  if (known && !mutant(Mutant::kReleaseNotLogged)) {
    completed_.push_back({connected->session_number, packet_id});
  }
  completed_by_.push_back({attachment, packet_id, known});
  wake_at_turn_end();
}

// While the disk is full it waits here, bounded by what connections may have under way.
void Shard::flush_qos2() {
  if (!serving_) return;
  if (writable()) {
    if (!released_.empty()) append(control::completed(now(), std::exchange(released_, {})));
    if (!accepted_.empty()) append(control::accepted(now(), std::exchange(accepted_, {})));
    if (!completed_.empty()) append(control::released(now(), std::exchange(completed_, {})));
  }
  const Lsn last = state_.next() == Lsn() ? Lsn() : state_.next() - 1;
  if (accepted_.empty()) {
    for (const OfClient& one : std::exchange(accepted_by_, {})) {
      const Lsn lsn = mutant(Mutant::kPubrelBeforeCommit) ? Lsn() : last;
      told_.push_back({lsn, one.attachment, one.packet_id, Told::What::kRelease});
    }
  }
  if (completed_.empty()) {
    for (const OfClient& one : std::exchange(completed_by_, {})) {
      const Lsn lsn = mutant(Mutant::kPubcompBeforeCommit) ? Lsn() : last;
      told_.push_back(
          {lsn, one.attachment, one.packet_id, one.known ? Told::What::kCompleted : Told::What::kUnknown});
    }
  }
  tell(log_->committed());
}

void Shard::tell(Lsn committed) {
  while (!told_.empty() && told_.front().lsn < committed) {
    SessionMail mail;
    mail.attachment = told_.front().attachment;
    while (!told_.empty() && told_.front().lsn < committed && told_.front().attachment == mail.attachment) {
      const Told one = told_.front();
      told_.pop_front();
      if (one.what == Told::What::kRelease) {
        mail.releases.push_back(one.packet_id);
      } else {
        mail.completed.push_back({one.packet_id, one.what == Told::What::kCompleted});
      }
    }
    if (const Connected* to = connection(mail.attachment)) core_.send(to->core, std::move(mail));
  }
}

}  // namespace stele::broker
