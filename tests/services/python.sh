#!/usr/bin/env bash
# Prints the path of a Python that has requirements.txt: other people's Kafka client and Delta Lake readers, to check
# Farol's work with. The first run makes a virtual environment in ${XDG_CACHE_HOME:-~/.cache}/farol; needs python3-venv.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/farol
venv=$cache/python-$(sha256sum "$here/requirements.txt" | cut -c1-12)

if [ ! -e "$venv/.complete" ]; then
  mkdir -p "$venv"
  # Test programs may start at the same time: one installs, the others wait.
  exec 9> "$venv.lock"
  flock 9
  if [ ! -e "$venv/.complete" ]; then
    python3 -m venv "$venv" >&2
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt" >&2
    touch "$venv/.complete"
  fi
  exec 9>&-
fi
echo "$venv/bin/python"
