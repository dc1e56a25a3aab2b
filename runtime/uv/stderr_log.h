// The log of a process: lines to a descriptor, standard error in production.
//
//   2026-03-01T12:00:00.123Z INFO  mqtt: listening on 0.0.0.0:1883
//
// Any core may write; a line leaves in one write(2), so lines of different threads do not mix. Control
// characters are shown as \xNN: what a client sends cannot forge a line.
#pragma once

#include "runtime/runtime.h"

namespace stele::runtime::uv {

class StderrLog final : public Log {
 public:
  explicit StderrLog(LogLevel level, int descriptor = 2) : level_(level), descriptor_(descriptor) {}
  bool enabled(LogLevel level) const override { return level >= level_ && level < LogLevel::kOff; }
  void write(LogLevel level, std::string_view component, std::string_view line) override;

 private:
  const LogLevel level_;
  const int descriptor_;
};

}  // namespace stele::runtime::uv
