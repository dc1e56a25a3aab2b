#include "broker/filter_trie.h"

#include <absl/container/inlined_vector.h>

#include <algorithm>
#include <string>
#include <utility>

#include "broker/string_map.h"

namespace stele::broker {

struct FilterTrie::Node {
  // Looked up, never walked: its order depends on hashes.
  StringMap<std::unique_ptr<Node>> words;
  std::unique_ptr<Node> plus;
  std::vector<Match> here;  // filters that end here, by target
  std::vector<Match> rest;  // filters that end with `#` below here, by target

  bool useless() const { return words.empty() && !plus && here.empty() && rest.empty(); }
};

namespace {

// Takes the first word off `rest`; false when there was none. "a//b" has an empty word in the middle, and an
// address that is not empty has at least one word.
struct Words {
  std::string_view rest;
  bool more;
  explicit Words(std::string_view text) : rest(text), more(!text.empty()) {}
  std::string_view take() {
    const std::size_t end = rest.find('/');
    std::string_view word = rest.substr(0, end);
    more = end != std::string_view::npos;
    rest.remove_prefix(more ? end + 1 : rest.size());
    return word;
  }
};

bool by_target(const FilterTrie::Match& a, std::uint64_t target) {
  return a.target < target;
}

}  // namespace

FilterTrie::FilterTrie() : root_(std::make_unique<Node>()) {}
FilterTrie::FilterTrie(FilterTrie&&) noexcept = default;
FilterTrie& FilterTrie::operator=(FilterTrie&& other) noexcept {
  std::swap(root_, other.root_);
  std::swap(size_, other.size_);
  std::swap(nodes_, other.nodes_);
  return *this;
}

// A filter may have 65,536 words, so nothing here recurses, and neither may the destruction of nodes.
FilterTrie::~FilterTrie() {
  std::vector<std::unique_ptr<Node>> left;
  if (root_) left.push_back(std::move(root_));
  while (!left.empty()) {
    const std::unique_ptr<Node> node = std::move(left.back());
    left.pop_back();
    if (node->plus) left.push_back(std::move(node->plus));
    for (auto& [word, below] : node->words) left.push_back(std::move(below));  // in any order: all go
  }
}

bool FilterTrie::insert(std::string_view filter, std::uint64_t target, std::uint64_t data) {
  Node* node = root_.get();
  std::vector<Match>* list = nullptr;
  for (Words words(filter); words.more;) {
    const std::string_view word = words.take();
    if (word == "#" && !words.more) {
      list = &node->rest;
      break;
    }
    std::unique_ptr<Node>& next = word == "+" ? node->plus : node->words.try_emplace(word).first->second;
    if (!next) {
      next = std::make_unique<Node>();
      ++nodes_;
    }
    node = next.get();
  }
  if (!list) list = &node->here;
  auto at = std::lower_bound(list->begin(), list->end(), target, by_target);
  if (at != list->end() && at->target == target) {
    at->data = data;
    return false;
  }
  list->insert(at, Match{target, data});
  ++size_;
  return true;
}

bool FilterTrie::erase(std::string_view filter, std::uint64_t target) {
  struct Step {
    Node* parent;
    std::string_view word;
  };
  std::vector<Step> path;
  Node* node = root_.get();
  std::vector<Match>* list = nullptr;
  for (Words words(filter); words.more;) {
    const std::string_view word = words.take();
    if (word == "#" && !words.more) {
      list = &node->rest;
      break;
    }
    Node* next = nullptr;
    if (word == "+") {
      next = node->plus.get();
    } else if (auto found = node->words.find(word); found != node->words.end()) {
      next = found->second.get();
    }
    if (!next) return false;
    path.push_back({node, word});
    node = next;
  }
  if (!list) list = &node->here;
  auto at = std::lower_bound(list->begin(), list->end(), target, by_target);
  if (at == list->end() || at->target != target) return false;
  list->erase(at);
  --size_;
  for (; node->useless() && !path.empty(); path.pop_back()) {
    const Step& step = path.back();
    if (step.word == "+") {
      step.parent->plus.reset();
    } else {
      step.parent->words.erase(step.word);
    }
    --nodes_;
    node = step.parent;
  }
  return true;
}

namespace {

// One walk for both uses: `visit` gets lists of matches and returns false to stop. Where a literal and a `+`
// both match, the `+` waits.
template <class Node, class Visit>
void walk(const Node& root, std::string_view address, Visit&& visit) {
  struct Step {
    const Node* node;
    Words words;
  };
  absl::InlinedVector<Step, 16> waiting;
  waiting.push_back({&root, Words(address)});
  bool wildcards = !address.starts_with('$');  // of the first word [MQTT-4.7.2-1]
  while (!waiting.empty()) {
    auto [node, words] = waiting.back();
    waiting.pop_back();
    while (node) {
      if (wildcards && !node->rest.empty() && !visit(node->rest)) return;
      if (!words.more) {
        if (!node->here.empty() && !visit(node->here)) return;
        break;
      }
      const std::string_view word = words.take();
      const Node* const plus = wildcards ? node->plus.get() : nullptr;
      wildcards = true;
      const auto found = node->words.empty() ? node->words.end() : node->words.find(word);
      if (found == node->words.end()) {
        node = plus;
      } else {
        if (plus) waiting.push_back({plus, words});
        node = found->second.get();
      }
    }
  }
}

}  // namespace

void FilterTrie::match(std::string_view address, std::vector<Match>& out) const {
  auto visit = [&out](const std::vector<Match>& list) {
    out.insert(out.end(), list.begin(), list.end());
    return true;
  };
  walk(*root_, address, visit);
}

bool FilterTrie::matches(std::string_view address) const {
  bool found = false;
  auto visit = [&found](const std::vector<Match>&) { return !(found = true); };
  walk(*root_, address, visit);
  return found;
}

}  // namespace stele::broker
