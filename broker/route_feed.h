// RouteFeed: what one node tells the others of where messages go (RouteNews), in one sequence.
//
// It keeps what holds now and the latest changes. A follower that has heard everything up to a version that
// the changes still reach back to is sent increments; any other a snapshot, in pieces. Changes go on
// meanwhile: the pieces follow an order of all that holds, and a change of what a piece has told already goes
// with the next piece, while a change of what is still to come is told when its turn has come. What a shard
// says in one epoch is a section of that order; a shard that begins again has a new section at the end, so
// that no snapshot can be beyond it.
//
// To wait until every follower knows a change, take the version that note() gives and look at known_by_all()
// after each answer. What was noted of a shard must not be confirmed like that once its section is gone, by
// forget_shard() or because the shard began again: a snapshot does not tell it any more. Memory: what holds
// now, the changes within the limits, and for each follower one batch.
//
// Pure; lives on one core.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/route_change.h"
#include "model/ids.h"

namespace stele::broker {

// A broker that follows: a node in one incarnation.
struct FollowerId {
  NodeId node;
  std::uint64_t incarnation = 0;
  friend auto operator<=>(const FollowerId&, const FollowerId&) = default;
};

struct RouteFeedLimits {
  // Changes that are kept. Who is further behind is sent a snapshot.
  std::size_t max_changes = 65'536;
  std::size_t max_change_bytes = std::size_t{16} << 20;  // as RouteNews::bytes() counts
};

class RouteFeed {
 public:
  // `incarnation`: of this node; higher than any before.
  explicit RouteFeed(std::uint64_t incarnation, RouteFeedLimits limits = {})
      : incarnation_(incarnation), limits_(limits) {}

  // Takes news of a core, in the order in which they came to be. Live interest and share members are those of
  // that core alone; what is told is whether any core has a filter, and how many members all have. News of a
  // shard in another epoch than it last began in are ignored, and so is a beginning that is not of a higher
  // one. Returns the version that, once known, makes this known: of the change, or of the earlier one that
  // said so.
  std::uint64_t note(CoreId core, RouteNews news);
  // The shard is another node's now, and has begun there in a higher epoch: nothing more is said of it here.
  // Followers keep what they heard until they hear that too.
  void forget_shard(ShardId shard, Epoch epoch);

  // From now on it is told everything, and counted by known_by_all(), as knowing nothing yet. Idempotent.
  void follow(FollowerId follower);
  void unfollow(FollowerId follower);

  // What the follower is to be sent next; null if nothing, or if an answer is awaited. About `max_bytes`, as
  // RouteNews::bytes() counts, and one of the news at least.
  std::shared_ptr<const RouteBatch> next_batch(FollowerId follower, std::size_t max_bytes);
  // Answers to any other batch than the one that is awaited are ignored.
  void on_answer(FollowerId follower, const RouteBatchAnswer& answer);
  // Whether the last batch arrived is unknown: next_batch() gives it again.
  void on_lost(FollowerId follower);

  std::uint64_t version() const { return version_; }  // of the latest change; 0: none
  // Up to which version all followers have answered that they know; version() if there are none.
  std::uint64_t lowest_acknowledged() const;
  bool known_by_all(std::uint64_t version) const { return lowest_acknowledged() >= version; }
  std::uint64_t incarnation() const { return incarnation_; }

  std::size_t held() const { return items_.size(); }       // things that hold now
  std::size_t changes() const { return changes_.size(); }  // that are kept
  std::size_t change_bytes() const { return change_bytes_; }

 private:
  using Section = std::uint64_t;  // 0: the node's own. Else of a shard in an epoch, by when that began.
  struct KeyView {
    Section section;
    RouteNews::Kind kind;
    TenantId tenant;
    std::string_view text;
    friend auto operator<=>(const KeyView&, const KeyView&) = default;
  };
  // In the order of snapshots: what a shard says stands between its beginning and its being told.
  struct Key {
    Section section;
    RouteNews::Kind kind;
    TenantId tenant;
    std::string text;
    operator KeyView() const { return {section, kind, tenant, text}; }
  };
  struct KeyLess {
    using is_transparent = void;
    bool operator()(KeyView a, KeyView b) const { return a < b; }
  };
  struct Item {
    std::uint32_t number = 0;
    std::uint64_t version = 0;  // that said so
    std::vector<std::pair<CoreId, std::uint32_t>>
        cores;  // of what is the node's own: the parts of the number
  };
  struct ShardSection {
    ShardId shard;
    Epoch epoch;
  };
  struct Change {
    Section section;
    RouteNews news;
  };
  enum class Way : std::uint8_t { kBegin, kSnapshot, kIncrements };
  struct Follower {
    std::uint64_t acknowledged = 0;
    Way way = Way::kBegin;
    std::uint64_t sent = 0;     // changes up to here need not be looked at any more
    std::optional<Key> cursor;  // of a snapshot: told up to here
    std::uint64_t number = 0;   // of the last batch
    std::shared_ptr<const RouteBatch> unanswered;
    bool lost = false;
  };

  std::uint64_t note_begin(RouteNews news);
  std::uint64_t note_of_shard(Section section, RouteNews news);
  std::uint64_t note_of_core(CoreId core, RouteNews news);
  // Makes it hold, or hold no longer, and tells it.
  std::uint64_t change(Section section, RouteNews news);
  std::uint64_t append(Section section, RouteNews news);
  void erase_section(ShardId shard);
  std::optional<Section> section_of(const RouteNews& news) const;
  RouteNews news_of(const Key& key, const Item& item) const;
  static KeyView key_of(Section section, const RouteNews& news) {
    return {section, news.kind, news.tenant, news.text};
  }

  std::uint64_t first_kept() const { return version_ - changes_.size() + 1; }
  const Change& change_at(std::uint64_t version) const { return changes_[version - first_kept()]; }
  void fill_increments(Follower& follower, std::size_t max_bytes, RouteBatch& batch) const;
  void fill_piece(Follower& follower, std::size_t max_bytes, RouteBatch& batch) const;

  const std::uint64_t incarnation_;
  const RouteFeedLimits limits_;
  std::uint64_t version_ = 0;
  std::map<Key, Item, KeyLess> items_;
  std::map<Section, ShardSection> sections_;
  std::map<ShardId, Section> section_of_shard_;
  std::deque<Change> changes_;  // the last one is `version_`
  std::size_t change_bytes_ = 0;
  std::map<FollowerId, Follower> followers_;
  std::uint64_t batches_ = 0;
};

}  // namespace stele::broker
