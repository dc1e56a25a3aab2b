#!/usr/bin/env bash
# Writes the scenarios and regressions (TOML files) as texts of a C++ file: embed.sh OUT FILE...
set -euo pipefail
out=$1
shift
list() {
  local folder=$1 file
  shift
  echo "std::span<const BuiltInFile> built_in_$folder() {"
  echo "  static const std::vector<BuiltInFile> files = {"
  for file in "$@"; do
    [[ $file == *"/$folder/"* ]] || continue
    echo "{\"$(basename "$file" .toml)\", R\"stele_toml($(cat "$file"))stele_toml\"},"
  done
  echo "  };"
  echo "  return files;"
  echo "}"
}
{
  echo '#include <vector>'
  echo '#include "sim/workloads/built_in.h"'
  echo 'namespace stele::sim {'
  list scenarios "$@"
  list regressions "$@"
  echo '}  // namespace stele::sim'
} > "$out"
