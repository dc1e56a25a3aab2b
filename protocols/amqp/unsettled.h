// What was delivered on a channel and is not settled: by delivery tag, ascending. Settling one or many takes
// time for those alone, whatever their order; memory is that of what is unsettled, up to a factor. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "protocols/amqp/amqp_broker.h"

namespace stele::amqp {

struct UnsettledDelivery {
  std::uint64_t tag = 0;
  DeliveryToken token;
  bool of_consumer = false;  // else of basic.get
  bool gone = false;         // its own affair
};

class Unsettled {
 public:
  std::size_t size() const { return items_.size() - head_ - gone_; }
  // Of consumers: what a prefetch counts.
  std::size_t of_consumers() const { return of_consumers_; }

  // `tag` is higher than all before.
  void add(std::uint64_t tag, const DeliveryToken& token, bool of_consumer);
  // Appends what `tag`, or with `multiple` it and all below it (0: all there are), names, in order, and
  // forgets it. False, and nothing is changed, if there is no such tag (RabbitMQ: whatever is below it).
  bool take(std::uint64_t tag, bool multiple, std::vector<UnsettledDelivery>& out);
  // Those that were taken, in any order.
  void put_back(std::vector<UnsettledDelivery> items);
  void clear() { *this = {}; }

 private:
  void forget(std::size_t at);
  void tidy();

  std::vector<UnsettledDelivery> items_;  // from head_ on, the first and the last not gone
  std::size_t head_ = 0;
  std::size_t gone_ = 0;  // of those from head_ on
  std::size_t of_consumers_ = 0;
};

}  // namespace stele::amqp
