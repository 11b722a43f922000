# shellcheck shell=sh
# Sourced by the launchers: sets `root`, the folder of this project, `arch`, the processor as Node calls it, and `node`, a
# Node that can run it, or exits.

self=$(readlink -f -- "$0") || exit 1
root=${self%/*/*}

# What the programs need is ML-KEM with raw keys, in node:crypto, and that Node strips types by itself.
usable() {
  [ -x "$1" ] || return 1
  version=$("$1" --version 2>/dev/null) || return 1
  version=${version#v}
  major=${version%%.*}
  minor=${version#*.}
  minor=${minor%%.*}
  [ "$major" -gt 25 ] 2>/dev/null || { [ "$major" -eq 24 ] && [ "$minor" -ge 21 ]; } 2>/dev/null
}

arch=$(uname -m)
case $arch in
  x86_64) arch=x64 ;;
  aarch64) arch=arm64 ;;
  armv*) arch=arm ;;
  ppc64le) arch=ppc64 ;;
  loongarch64) arch=loong64 ;;
esac

# By its own path: two packages bring a Node, one for each processor, and where both claim the name not every npm
# links one of them as node_modules/.bin/node.
find_node() {
  node=$root/node_modules/node-linux-$arch/bin/node
  [ -x "$node" ] && return 0
  node=$(command -v node) && usable "$node"
}

find_node || {
  echo "${self##*/}: needs Node 24.21, or 26 or newer: run ./dev build in $root, which brings one, or install it" >&2
  exit 78
}
