// A table for people: columns as wide as they need, two spaces between. Pure.
#pragma once

#include <string>
#include <vector>

namespace stele::server::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  // As many cells as the head has.
  void add(std::vector<std::string> cells);
  bool empty() const { return rows_.size() == 1; }
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace stele::server::cli
