// Messages in the order of their numbers, in a few bytes each: what a backlog of millions costs.
//
// Runs of up to 128 messages are kept packed: what can be told from the message before takes no space. The
// latest messages are open, not packed yet, and two runs that were looked at last are kept unpacked beside. A
// message in the middle can go: its run remembers that, goes itself with its last message, and is packed anew
// when few are left. A message alone in its run costs up to 200 bytes, one of many 1 (all alike) to about 8.
// Pure; one core.
#pragma once

#include <absl/container/btree_map.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/assert.h"
#include "broker/queue/queue_values.h"

namespace stele::broker::queue {

struct StoredMessage {
  std::uint64_t number = 0;
  Lsn lsn;
  std::uint32_t index = 0;
  std::uint32_t bytes = 0;
  std::int64_t time_ms = kNever;  // its owner's: when it expires, when it died
  std::uint32_t tag = 0;          // likewise
  friend bool operator==(const StoredMessage&, const StoredMessage&) = default;
};

class PackedMessages {
 public:
  static constexpr std::size_t kRun = 128;

  std::uint64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::uint64_t bytes() const { return bytes_; }  // of the messages themselves
  // About what all this takes.
  std::size_t memory_bytes() const;
  // No message is below it; it may be one that has gone. None when empty.
  std::optional<Lsn> lowest_lsn() const;

  // Its number is above all before.
  void push_back(const StoredMessage& message);
  // The one pushed last, if nothing was erased since.
  const StoredMessage* latest() const { return open_.empty() ? nullptr : &open_.back(); }
  std::optional<StoredMessage> find(std::uint64_t number) const;
  // The first with that number or a higher one.
  std::optional<StoredMessage> at_or_above(std::uint64_t number) const;
  // Gives what was there.
  std::optional<StoredMessage> erase(std::uint64_t number);
  // Erases [first, end), and gives how many that were. Runs that go as a whole are not looked into.
  std::uint64_t erase_range(std::uint64_t first, std::uint64_t end);
  void clear() { *this = PackedMessages(); }

  template <class Each>
  void for_each(Each&& each) const {
    for (const auto& [first, run] : runs_) {
      const std::vector<StoredMessage> all = unpack(first, run);
      for (std::size_t i = 0; i < all.size(); ++i) {
        if (!run.gone.has(i)) each(all[i]);
      }
    }
    for (std::size_t i = 0; i < open_.size(); ++i) {
      if (!open_gone_.has(i)) each(open_[i]);
    }
  }

 private:
  class Bits {
   public:
    bool has(std::size_t i) const { return words_[i / 64] >> (i % 64) & 1; }
    void set(std::size_t i) { words_[i / 64] |= std::uint64_t{1} << (i % 64); }

   private:
    std::array<std::uint64_t, kRun / 64> words_{};
  };
  struct Run {
    std::string packed;
    Bits gone;
    std::uint64_t last = 0;   // the highest number
    std::uint64_t bytes = 0;  // of what is left
    Lsn lowest;
    std::uint16_t total = 0;
    std::uint16_t left = 0;
  };
  using Runs = absl::btree_map<std::uint64_t, Run>;  // by a number not above their first
  struct Unpacked {
    std::optional<std::uint64_t> run;
    std::vector<StoredMessage> messages;
  };

  static std::string pack(std::uint64_t first, const std::vector<StoredMessage>& messages);
  static std::vector<StoredMessage> unpack(std::uint64_t first, const Run& run);
  const std::vector<StoredMessage>& unpacked(Runs::const_iterator run) const;
  void forget(std::uint64_t run);
  Runs::const_iterator run_of(std::uint64_t number) const;  // where it would be; end(): nowhere
  void add_run(std::uint64_t key, const std::vector<StoredMessage>& messages);
  Runs::iterator erase_run(Runs::iterator run);
  void seal();
  void close_open_if_empty();
  std::optional<StoredMessage> erase_open(std::uint64_t number);

  Runs runs_;
  std::size_t packed_bytes_ = 0;
  std::vector<StoredMessage> open_;  // behind all runs
  Bits open_gone_;
  std::size_t open_left_ = 0;
  std::uint64_t size_ = 0;
  std::uint64_t bytes_ = 0;
  mutable std::array<Unpacked, 2> unpacked_;
  mutable std::size_t unpacked_last_ = 0;
};

}  // namespace stele::broker::queue
