// The judge of a simulated run: its world.
#pragma once

#include <string>
#include <utility>

#include "sim/workloads/judge.h"
#include "sim/world.h"

namespace stele::sim {

class WorldJudge final : public Judge {
 public:
  explicit WorldJudge(World& world) : world_(world) {}
  void fail(std::string why) override { world_.fail(std::move(why)); }
  bool failed() const override { return world_.failed(); }
  Time now() const override { return world_.now(); }
  // From the shadow.
  bool sees_commits() const override { return true; }

 private:
  World& world_;
};

}  // namespace stele::sim
