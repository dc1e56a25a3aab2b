// Events and ready-marks that are nothing but a call of a member function of what they live in.
#pragma once

#include "sim/event_queue.h"
#include "sim/process.h"

namespace stele::sim {

template <class Owner, void (Owner::*kMethod)()>
class MemberEvent final : public Event {
 public:
  MemberEvent(EventKind kind, Subject subject, Owner& owner) : Event(kind, subject), owner_(owner) {}
  void fire() override { (owner_.*kMethod)(); }

 private:
  Owner& owner_;
};

template <class Owner, void (Owner::*kMethod)()>
class MemberReady final : public Ready {
 public:
  explicit MemberReady(Owner& owner) : owner_(owner) {}
  void deliver() override { (owner_.*kMethod)(); }

 private:
  Owner& owner_;
};

}  // namespace stele::sim
