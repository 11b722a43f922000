#!/bin/sh
# Boots one machine and stays until it is off:  machine.sh NAME ROOT NAMESPACE DIST CGROUP TUNMODE WITHOUT
# Needs a mount namespace of its own, with which everything that is mounted here goes.
#
#   root       an overlay: ROOT below, memory above, so that a reboot keeps what was written
#   network    the network namespace NAMESPACE
#   /dist      the packages, read-only
#   CGROUP     everything of the machine is in here, so that one write kills it
#   TUNMODE    the mode of its /dev/net/tun, which is root's; none: it is not there
#   WITHOUT    capabilities that it has not, comma separated
set -eu
name=$1 root=$2 namespace=$3 dist=$4 cgroup=$5 tun_mode=$6 without=$7

echo $$ >"$cgroup/cgroup.procs"
mount -t tmpfs -o mode=0755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o "lowerdir=$root,upperdir=/mnt/upper,workdir=/mnt/work" overlay /mnt/root
echo "$name" >/mnt/root/etc/hostname
# systemd-nspawn keeps things here and does not take them away from a disk.
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn

# systemd-nspawn makes the machine's device with the mode and the owner of the one here, whatever they are.
mount -t tmpfs -o mode=0755 tmpfs /dev/net
[ "$tun_mode" = none ] || mknod -m "$tun_mode" /dev/net/tun c 10 200

# Whatever cgroup hierarchy this system has, the machine gets version 2. The lock is not needed: ROOT is never written.
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_LOCK=0

# With all capabilities and bpf the units' own limits are enforced; the three that reach beyond a container are not
# for it. 133: the machine wants to be booted again.
while :; do
  code=0
  systemd-nspawn --quiet --keep-unit --register=no --directory=/mnt/root --machine="$name" \
    --network-namespace-path="/run/netns/$namespace" --bind-ro="$dist:/dist" --console=read-only \
    --capability=all --drop-capability=CAP_SYS_MODULE,CAP_SYS_TIME,CAP_SYS_RAWIO"${without:+,$without}" --system-call-filter=bpf \
    --boot systemd.journald.forward_to_console=1 systemd.show_status=0 || code=$?
  [ "$code" -eq 133 ] || exit "$code"
done
