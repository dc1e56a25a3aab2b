#!/usr/bin/env bash
# Writes the scenarios (TOML files) as texts of a C++ file: embed.sh OUT FILE...
set -euo pipefail
out=$1
shift
{
  echo '#include <vector>'
  echo '#include "sim/workloads/built_in.h"'
  echo 'namespace stele::sim {'
  echo 'std::span<const BuiltInFile> built_in_scenarios() {'
  echo '  static const std::vector<BuiltInFile> files = {'
  for file in "$@"; do
    echo "{\"$(basename "$file" .toml)\", R\"stele_toml($(cat "$file"))stele_toml\"},"
  done
  echo '  };'
  echo '  return files;'
  echo '}'
  echo '}  // namespace stele::sim'
} > "$out"
