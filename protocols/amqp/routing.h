// What bindings of topic and headers exchanges match, one binding at a time. Pure. Exchanges of many bindings
// need an index; this is what it is held against.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/amqp/field_table.h"
#include "protocols/amqp/reply_code.h"

namespace stele::amqp {

// Whether a topic exchange routes a message with this routing key to a binding with this pattern (section
// 3.1.3.3). Both are words between dots, any of which may be empty; the empty string has no words. `*` is one
// word, `#` none or more; elsewhere in a word they are as any other byte. Time: words of one times words of
// the other at most.
bool topic_matches(std::string_view pattern, std::string_view routing_key);

// Whether a pattern has a word `*` or `#`; without one it matches itself alone.
bool has_topic_wildcard(std::string_view pattern);

// A message's headers, as matching wants them. Views of the table.
class SortedHeaders {
 public:
  explicit SortedHeaders(TableView headers) : fields_(sorted_fields(headers)) {}

 private:
  friend class HeadersBinding;
  std::vector<Field> fields_;
};

// The arguments of a binding to a headers exchange (section 3.1.3.4, and what RabbitMQ makes of it): x-match
// says whether all other arguments have to be among a message's headers, or any one of them. A void argument
// asks that there is such a header; others that it has the same value (same_value()).
class HeadersBinding {
 public:
  // "all" is what is taken where there is no x-match. Arguments beginning with "x-" are only looked at with
  // the last two, and x-match never.
  enum class Match : std::uint8_t { kAll, kAny, kAllWithX, kAnyWithX };

  // PRECONDITION_FAILED, as RabbitMQ, if x-match is none of those. Copies the arguments.
  static Decoded<HeadersBinding> parse(TableView arguments);

  Match match() const { return match_; }
  // Without anything to look for "all" matches every message, and "any" none.
  bool matches(const SortedHeaders& headers) const;

 private:
  HeadersBinding() = default;

  Match match_ = Match::kAll;
  Table wanted_;  // what is looked for, by name
};

}  // namespace stele::amqp
