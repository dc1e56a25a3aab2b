#include "protocols/http/metrics.h"

#include <charconv>
#include <cmath>

namespace stele::http {
namespace {

void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\n') {
      out.append("\\n");
    } else if (c == '\\' || (quotes && c == '"')) {
      out.append({'\\', c});
    } else {
      out.push_back(c);
    }
  }
}

void append_value(std::string& out, double value) {
  if (std::isnan(value)) {
    out.append("NaN");
  } else if (std::isinf(value)) {
    out.append(value > 0 ? "+Inf" : "-Inf");
  } else {
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, value);
    out.append(text, end.ptr);
  }
}

}  // namespace

std::string render(const std::vector<MetricFamily>& families) {
  std::string out;
  for (const MetricFamily& family : families) {
    out.append("# HELP ").append(family.name).append(" ");
    append_escaped(out, family.help, false);
    out.append("\n# TYPE ").append(family.name);
    out.append(family.kind == MetricKind::kCounter ? " counter\n" : " gauge\n");
    for (const MetricSample& sample : family.samples) {
      out.append(family.name);
      const char* before = "{";
      for (const auto& [name, value] : sample.labels) {
        out.append(before).append(name).append("=\"");
        append_escaped(out, value, true);
        out.push_back('"');
        before = ",";
      }
      if (!sample.labels.empty()) out.push_back('}');
      out.push_back(' ');
      append_value(out, sample.value);
      out.push_back('\n');
    }
  }
  return out;
}

}  // namespace stele::http
