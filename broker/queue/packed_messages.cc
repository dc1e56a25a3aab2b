#include "broker/queue/packed_messages.h"

#include <algorithm>
#include <utility>

#include "base/wire.h"

namespace stele::broker::queue {

namespace {

// What of a message follows, because it is not as the message before lets expect.
enum Differs : std::uint8_t {
  kNumber = 1,  // than one more
  kLsn = 2,     // than one more
  kIndex = 4,   // than 0
  kBytes = 8,   // than that of the one before, as the rest
  kTime = 16,
  kTag = 32,
};

std::int64_t difference(std::uint64_t a, std::uint64_t b) {
  return static_cast<std::int64_t>(a - b);
}
std::uint64_t sum(std::uint64_t a, std::int64_t b) {
  return a + static_cast<std::uint64_t>(b);
}

std::size_t place_of(const std::vector<StoredMessage>& messages, std::uint64_t number) {
  return static_cast<std::size_t>(std::ranges::lower_bound(messages, number, {}, &StoredMessage::number) -
                                  messages.begin());
}

}  // namespace

std::string PackedMessages::pack(std::uint64_t first, const std::vector<StoredMessage>& messages) {
  std::string packed;
  Writer writer(packed);
  StoredMessage before;
  before.number = first - 1;
  for (const StoredMessage& one : messages) {
    const auto differs = static_cast<std::uint8_t>(
        (one.number != before.number + 1 ? kNumber : 0) | (one.lsn != before.lsn + 1 ? kLsn : 0) |
        (one.index != 0 ? kIndex : 0) | (one.bytes != before.bytes ? kBytes : 0) |
        (one.time_ms != before.time_ms ? kTime : 0) | (one.tag != before.tag ? kTag : 0));
    writer.u8(differs);
    if (differs & kNumber) writer.uvarint(one.number - before.number);
    if (differs & kLsn) writer.varint(difference(one.lsn.value, before.lsn.value));
    if (differs & kIndex) writer.uvarint(one.index);
    if (differs & kBytes) writer.uvarint(one.bytes);
    if (differs & kTime) {
      writer.varint(
          difference(static_cast<std::uint64_t>(one.time_ms), static_cast<std::uint64_t>(before.time_ms)));
    }
    if (differs & kTag) writer.uvarint(one.tag);
    before = one;
  }
  packed.shrink_to_fit();
  return packed;
}

std::vector<StoredMessage> PackedMessages::unpack(std::uint64_t first, const Run& run) {
  std::vector<StoredMessage> messages;
  messages.reserve(run.total);
  Reader reader(run.packed);
  StoredMessage one;
  one.number = first - 1;
  for (std::size_t i = 0; i < run.total; ++i) {
    const std::uint8_t differs = reader.u8();
    one.number += differs & kNumber ? reader.uvarint() : 1;
    one.lsn = Lsn(differs & kLsn ? sum(one.lsn.value, reader.varint()) : one.lsn.value + 1);
    one.index = differs & kIndex ? static_cast<std::uint32_t>(reader.uvarint()) : 0;
    if (differs & kBytes) one.bytes = static_cast<std::uint32_t>(reader.uvarint());
    if (differs & kTime) {
      one.time_ms = static_cast<std::int64_t>(sum(static_cast<std::uint64_t>(one.time_ms), reader.varint()));
    }
    if (differs & kTag) one.tag = static_cast<std::uint32_t>(reader.uvarint());
    messages.push_back(one);
  }
  STELE_ASSERT(reader.ok() && reader.at_end());
  return messages;
}

const std::vector<StoredMessage>& PackedMessages::unpacked(Runs::const_iterator run) const {
  for (std::size_t i = 0; i < unpacked_.size(); ++i) {
    if (unpacked_[i].run == run->first) {
      unpacked_last_ = i;
      return unpacked_[i].messages;
    }
  }
  unpacked_last_ = 1 - unpacked_last_;
  Unpacked& slot = unpacked_[unpacked_last_];
  slot.messages = unpack(run->first, run->second);
  slot.run = run->first;
  return slot.messages;
}

void PackedMessages::forget(std::uint64_t run) {
  for (Unpacked& slot : unpacked_) {
    if (slot.run == run) slot = {};
  }
}

std::size_t PackedMessages::memory_bytes() const {
  // A node of the tree is three quarters full, more or less, and an allocation costs some bytes itself.
  constexpr std::size_t kPerRun = (sizeof(Runs::value_type) * 4 / 3) + 16;
  std::size_t all = sizeof *this + runs_.size() * kPerRun + packed_bytes_;
  all += open_.capacity() * sizeof(StoredMessage);
  for (const Unpacked& slot : unpacked_) all += slot.messages.capacity() * sizeof(StoredMessage);
  return all;
}

std::optional<Lsn> PackedMessages::lowest_lsn() const {
  std::optional<Lsn> lowest;
  const auto add = [&](Lsn lsn) { lowest = lowest ? std::min(*lowest, lsn) : lsn; };
  for (const auto& [first, run] : runs_) add(run.lowest);
  for (std::size_t i = 0; i < open_.size(); ++i) {
    if (!open_gone_.has(i)) add(open_[i].lsn);
  }
  return lowest;
}

// ---- what comes -----------------------------------------------------------------------------------------

void PackedMessages::push_back(const StoredMessage& message) {
  if (open_.size() == kRun) seal();
  if (!open_.empty()) STELE_ASSERT(open_.back().number < message.number);
  if (!runs_.empty()) STELE_ASSERT(std::prev(runs_.end())->second.last < message.number);
  open_.push_back(message);
  ++open_left_;
  ++size_;
  bytes_ += message.bytes;
}

void PackedMessages::seal() {
  std::vector<StoredMessage> left;
  left.reserve(open_left_);
  for (std::size_t i = 0; i < open_.size(); ++i) {
    if (!open_gone_.has(i)) left.push_back(open_[i]);
  }
  if (!left.empty()) add_run(left.front().number, left);
  open_.clear();
  open_gone_ = {};
  open_left_ = 0;
}

void PackedMessages::add_run(std::uint64_t key, const std::vector<StoredMessage>& messages) {
  Run run;
  run.packed = pack(key, messages);
  run.last = messages.back().number;
  run.lowest = messages.front().lsn;
  run.total = run.left = static_cast<std::uint16_t>(messages.size());
  for (const StoredMessage& one : messages) {
    run.bytes += one.bytes;
    run.lowest = std::min(run.lowest, one.lsn);
  }
  packed_bytes_ += run.packed.capacity();
  runs_.insert_or_assign(key, std::move(run));
}

// ---- what is there --------------------------------------------------------------------------------------

PackedMessages::Runs::const_iterator PackedMessages::run_of(std::uint64_t number) const {
  auto after = runs_.upper_bound(number);
  if (after == runs_.begin()) return runs_.end();
  --after;
  return number <= after->second.last ? after : runs_.end();
}

std::optional<StoredMessage> PackedMessages::find(std::uint64_t number) const {
  const std::optional<StoredMessage> found = at_or_above(number);
  return found && found->number == number ? found : std::nullopt;
}

std::optional<StoredMessage> PackedMessages::at_or_above(std::uint64_t number) const {
  auto run = run_of(number);
  if (run == runs_.end()) run = runs_.upper_bound(number);
  for (; run != runs_.end(); ++run) {
    const std::vector<StoredMessage>& messages = unpacked(run);
    for (std::size_t i = place_of(messages, number); i < messages.size(); ++i) {
      if (!run->second.gone.has(i)) return messages[i];
    }
  }
  for (std::size_t i = place_of(open_, number); i < open_.size(); ++i) {
    if (!open_gone_.has(i)) return open_[i];
  }
  return std::nullopt;
}

// ---- what goes ------------------------------------------------------------------------------------------

void PackedMessages::close_open_if_empty() {
  if (open_left_ > 0) return;
  constexpr std::size_t kKeep = 8;  // an empty queue holds next to nothing
  if (open_.capacity() > kKeep) {
    open_ = std::vector<StoredMessage>();  // = {} would keep its room
  } else {
    open_.clear();
  }
  open_gone_ = {};
}

std::optional<StoredMessage> PackedMessages::erase_open(std::uint64_t number) {
  const std::size_t i = place_of(open_, number);
  if (i == open_.size() || open_[i].number != number || open_gone_.has(i)) return std::nullopt;
  const StoredMessage was = open_[i];
  open_gone_.set(i);
  --open_left_;
  --size_;
  bytes_ -= was.bytes;
  close_open_if_empty();
  return was;
}

PackedMessages::Runs::iterator PackedMessages::erase_run(Runs::iterator run) {
  forget(run->first);
  size_ -= run->second.left;
  bytes_ -= run->second.bytes;
  packed_bytes_ -= run->second.packed.capacity();
  return runs_.erase(run);
}

std::optional<StoredMessage> PackedMessages::erase(std::uint64_t number) {
  const auto found = run_of(number);
  if (found == runs_.end()) return erase_open(number);
  const std::vector<StoredMessage>& messages = unpacked(found);
  const std::size_t i = place_of(messages, number);
  if (i == messages.size() || messages[i].number != number || found->second.gone.has(i)) return std::nullopt;
  const StoredMessage was = messages[i];
  Run& run = runs_.find(found->first)->second;
  run.gone.set(i);
  --run.left;
  run.bytes -= was.bytes;
  --size_;
  bytes_ -= was.bytes;
  if (run.left == 0) {
    erase_run(runs_.find(found->first));
  } else if (run.total >= 16 && run.left * 4 <= run.total) {
    std::vector<StoredMessage> left;
    left.reserve(run.left);
    for (std::size_t j = 0; j < messages.size(); ++j) {
      if (!run.gone.has(j)) left.push_back(messages[j]);
    }
    const std::uint64_t key = found->first;
    packed_bytes_ -= run.packed.capacity();
    forget(key);
    add_run(key, left);
  }
  return was;
}

std::uint64_t PackedMessages::erase_range(std::uint64_t first, std::uint64_t end) {
  const std::uint64_t before = size_;
  for (auto run = runs_.lower_bound(first); run != runs_.end() && run->second.last < end;) {
    run = erase_run(run);
  }
  // What is left are parts of the runs at both ends, and of what is open.
  while (const std::optional<StoredMessage> next = at_or_above(first)) {
    if (next->number >= end) break;
    first = next->number + 1;
    erase(next->number);
  }
  return before - size_;
}

}  // namespace stele::broker::queue
