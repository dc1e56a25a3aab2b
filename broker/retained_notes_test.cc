#include "broker/retained_notes.h"

#include <gtest/gtest.h>

#include <string>

namespace stele::broker {
namespace {

MessageView message(std::string_view address, std::string_view payload, std::int64_t timestamp_ms) {
  MessageView view;
  view.address = address;
  view.payload = payload;
  view.timestamp_ms = timestamp_ms;
  view.retain = true;
  return view;
}

TEST(RetainedNotes, AnOlderOneIsOvertaken) {
  RetainedNotes notes;
  EXPECT_FALSE(notes.overtaken(message("a", "1", 1000)));
  notes.note(message("a", "2", 1001));
  EXPECT_TRUE(notes.overtaken(message("a", "1", 1000)));
  EXPECT_FALSE(notes.overtaken(message("b", "1", 1000)));
}

TEST(RetainedNotes, TheSameAndANewerOneAreNot) {
  RetainedNotes notes;
  notes.note(message("a", "2", 1000));
  EXPECT_FALSE(notes.overtaken(message("a", "2", 1000)));
  EXPECT_FALSE(notes.overtaken(message("a", "3", 1001)));
}

// Of one millisecond: what is retained had been sent before, or would have been.
TEST(RetainedNotes, AnotherOneOfTheSameMillisecondIsOvertaken) {
  RetainedNotes notes;
  notes.note(message("a", "2", 1000));
  EXPECT_TRUE(notes.overtaken(message("a", "1", 1000)));
}

TEST(RetainedNotes, OneThatWasClearedIsOvertaken) {
  RetainedNotes notes;
  notes.note(message("a", "", 1001));
  EXPECT_TRUE(notes.overtaken(message("a", "1", 1000)));
}

TEST(RetainedNotes, AreBounded) {
  RetainedNotes notes;
  const std::size_t all = RetainedNotes::kMaxAddresses + 10;
  for (std::size_t i = 0; i < all; ++i) notes.note(message(std::to_string(i), "2", 1001));
  EXPECT_EQ(notes.size(), RetainedNotes::kMaxAddresses);
  EXPECT_FALSE(notes.overtaken(message("9", "1", 1000)));
  EXPECT_TRUE(notes.overtaken(message("10", "1", 1000)));
}

}  // namespace
}  // namespace stele::broker
