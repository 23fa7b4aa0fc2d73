#!/bin/sh
# Tailcall's binary needs glibc 2.39. On an older Debian: unpack (never install) trixie's beside
# it, from the mirror that this machine's apt already uses, into the folder $1.
set -eu
here="$1/debian"
mkdir -p "$here/lists/partial" "$here/archives/partial"
mirror=$(apt-get indextargets --format '$(REPO_URI)' | head -n1)
cat > "$here/trixie.sources" <<END
Types: deb
URIs: $mirror
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
apt() {
  apt-get -o "Dir::Etc::sourcelist=$here/trixie.sources" -o Dir::Etc::sourceparts=/dev/null \
    -o "Dir::State::lists=$here/lists" -o "Dir::Cache::archives=$here/archives" "$@"
}
cd "$here"
apt update -qq
apt download -qq libc6 libgcc-s1
for package in *.deb; do dpkg -x "$package" "$1/glibc"; done
