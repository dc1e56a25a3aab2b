// Who wants a message: a trie of subscription filters, words as edges.
//
// Holds (filter, target, data) with filters in MQTT form: `+` is one word, a trailing `#` any number of
// words, none included [MQTT-4.7.1-2], [MQTT-4.7.1-3]; a filter that begins with a wildcard does not match an
// address that begins with `$` [MQTT-4.7.2-1]. Targets are numbers that mean something to the owner of the
// trie: a session, a connection, a core, a shard. Lives on one core. Filters come in valid (protocols check
// them).
//
// Matching visits at most 2^(words with a literal and a `+` below the same node) nodes and allocates nothing
// but room in `out` and, with more than 16 such words, for its way back. The order of what it gives is fixed
// by the content alone, never by hashes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace stele::broker {

class FilterTrie {
 public:
  struct Match {
    std::uint64_t target;
    std::uint64_t data;
    friend bool operator==(const Match&, const Match&) = default;
  };

  FilterTrie();
  FilterTrie(FilterTrie&&) noexcept;
  FilterTrie& operator=(FilterTrie&&) noexcept;
  ~FilterTrie();

  // True if (filter, target) is new; else its data is replaced.
  bool insert(std::string_view filter, std::uint64_t target, std::uint64_t data);
  // True if it was there. Nodes that hold nothing any more are freed.
  bool erase(std::string_view filter, std::uint64_t target);

  // Appends every (target, data) whose filter matches; a target with several matching filters comes several
  // times.
  void match(std::string_view address, std::vector<Match>& out) const;
  // Whether anything matches.
  bool matches(std::string_view address) const;

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::size_t node_count() const { return nodes_; }

 private:
  struct Node;
  std::unique_ptr<Node> root_;
  std::size_t size_ = 0;
  std::size_t nodes_ = 1;
};

}  // namespace stele::broker
