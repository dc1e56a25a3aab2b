// Kafka topic names, and the address a topic has by its name: topic `orders.eu` is address `orders/eu`. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/address.h"

namespace stele {

inline constexpr std::size_t kMaxTopicNameLength =
    249;  // Kafka's: a folder `name-partition` has to fit 255 bytes

// 1 to 249 of `a-z A-Z 0-9 . _ -`, and neither `.` nor `..`.
bool is_topic_name(std::string_view name);
// The same with the reason.
Result<> check_topic_name(std::string_view name);

// The address messages of a topic have when nothing else is said. Every topic name has one.
Result<Address> address_of_topic(std::string_view name);

// The topic an address belongs to by its name; none when no topic can be called so (such an address reaches
// Kafka only through a capture).
std::optional<std::string> topic_of_address(std::string_view address);

}  // namespace stele
