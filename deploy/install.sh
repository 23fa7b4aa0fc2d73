#!/bin/sh
# Install the gateway from this tree into a new environment: deploy/install.sh FOLDER
# Exactly the locked versions are installed. The Dockerfile runs this, and so does a single server.
set -eu
[ $# -eq 1 ] || { echo "usage: deploy/install.sh FOLDER" >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."

page=gateway/http/pages/static/index.html
changed() { find web schema.graphql -name node_modules -prune -o -type f -newer "$page" -print; }
if [ ! -f "$page" ] || [ -n "$(changed)" ]; then
  python3 tools/environment.py serve
  .venv/bin/python tools/pages.py
fi
echo "Installing into $folder …"
python3 -m venv "$folder"
pip="$folder/bin/python -m pip --quiet --disable-pip-version-check"
$pip install --no-deps --require-hashes --requirement requirements/serve.lock
$pip install --no-deps --no-build-isolation .
# What a running gateway does not need.
$pip uninstall --yes hatchling editables pip
"$folder/bin/python" -m compileall -q "$folder/lib"
"$folder/bin/gateway" --version
