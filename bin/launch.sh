# shellcheck shell=sh
# Sourced by the launchers of the three programs: becomes the Node that runs one.
# The first argument is the program, relative to the root of the project; the rest are its arguments.

# shellcheck source=bin/find-node.sh
. "$(dirname -- "$(readlink -f -- "$0")")/find-node.sh"

program=$1
shift
# Stripped types are kept here: without it every start costs 0.1 s and 40 MB.
: "${NODE_COMPILE_CACHE:=$root/node_modules/.cache/cryonet}"
export NODE_COMPILE_CACHE
# A small young generation and one helper thread: 17 MB less for each node, nothing lost that was measured.
set -- "$node" --disable-warning=ExperimentalWarning --max-semi-space-size=1 --max-old-space-size=512 --v8-pool-size=1 "$root/$program" "$@"
# Whoever starts them, the two processes of a node have few privileges.
case $program in
  control/*) role=control ;;
  dataplane/*) role=dataplane ;;
  *) exec "$@" ;;
esac
launch=$root/service/launch/build/linux-$arch/launch
[ -x "$launch" ] || {
  echo "${self##*/}: what is native is not there: run ./dev build in $root (needs a C compiler)" >&2
  exit 78
}
exec "$launch" "$role" "$@"
