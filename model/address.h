// Addresses: what a message is published to, in any protocol. A list of words.
//
// The one text kept inside Stele is the MQTT form, words with `/` between them: an MQTT topic is an address
// as it stands. AMQP routing keys and Kafka topic names are the dotted form. The two forms of a word map one
// to one:
//
//   MQTT form        dotted form
//   .                %2E
//   %2F %2B %23      / + #
//   %                %25           a `%` that begins none of the escapes above, and in both directions: a
//   lone %25              %             `%` of either form is `%25` in the other %252F %25252F    %2F %252F
//   text that looks like the other form's escape takes or loses one `25` %2E   %252E      %252E %25252E
//
// so each MQTT topic and each routing key has exactly one counterpart and comes back as it was
// (docs/formats/record-mapping.md). Pure; the functions here may be called on any core.
#pragma once

#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>

#include "base/result.h"

namespace stele {

inline constexpr std::size_t kMaxAddressLength =
    65535;  // of the MQTT form, in bytes: its length field has 16 bits

// The words of an address in MQTT form. `a//b` has three, the middle one empty; the empty text has none.
class AddressWords {
 public:
  class iterator {
   public:
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    iterator() = default;
    std::string_view operator*() const { return word_; }
    iterator& operator++() {
      step();
      return *this;
    }
    void operator++(int) { step(); }
    bool operator==(std::default_sentinel_t) const { return done_; }

   private:
    friend class AddressWords;
    explicit iterator(std::string_view text) : rest_(text), last_(false), done_(text.empty()) {
      if (!done_) take();
    }
    void step() {
      if (last_) {
        done_ = true;
      } else {
        take();
      }
    }
    void take() {
      std::size_t end = rest_.find('/');
      word_ = rest_.substr(0, end);
      last_ = end == std::string_view::npos;
      if (!last_) rest_.remove_prefix(end + 1);
    }
    std::string_view word_;
    std::string_view rest_;
    bool last_ = true;
    bool done_ = true;
  };

  explicit AddressWords(std::string_view text) : text_(text) {}
  iterator begin() const { return iterator(text_); }
  std::default_sentinel_t end() const { return {}; }

 private:
  std::string_view text_;
};

// Whether `text` may be an address in MQTT form: at most kMaxAddressLength bytes of clean UTF-8 without
// wildcards [MQTT-3.3.2-2], [MQTT-4.7.3-2]. The empty text passes only where `allow_empty`: it is the empty
// routing key.
Result<> check_address(std::string_view text, bool allow_empty = false);

// `$SYS/…`, `$share/…` and their like: never seen outside MQTT, never matched by a filter that begins with a
// wildcard [MQTT-4.7.2-1].
inline bool is_mqtt_only(std::string_view text) {
  return text.starts_with('$');
}

// An owned, checked address.
class Address {
 public:
  Address() =
      default;  // no words: the empty routing key. An MQTT client never publishes to it nor receives it.

  static Result<Address> from_mqtt(std::string_view topic);
  // From an AMQP routing key or a Kafka topic name.
  static Result<Address> from_dotted(std::string_view dotted);
  // For text that came out of an Address or that a codec has checked already.
  static Address trusted(std::string text) { return Address(std::move(text)); }

  const std::string& text() const { return text_; }  // MQTT form
  operator std::string_view() const { return text_; }
  AddressWords words() const { return AddressWords(text_); }
  bool mqtt_only() const { return is_mqtt_only(text_); }

  friend bool operator==(const Address&, const Address&) = default;
  friend auto operator<=>(const Address&, const Address&) = default;

 private:
  explicit Address(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// The dotted form of an address. Fails for an address that never leaves MQTT.
Result<std::string> to_dotted(std::string_view address);

// One word from form to form, appended to `out`. The word holds no separator of the form it comes from; a
// pattern's wildcard words are the caller's to keep out.
void append_word_as_dotted(std::string_view mqtt_word, std::string& out);
void append_word_as_mqtt(std::string_view dotted_word, std::string& out);

}  // namespace stele
