#!/bin/sh
# Runs a command in a checkout, as root of a bare system that is gone with it:
#
#   bare.sh ROOT CHECKOUT DOWNLOADS COMMAND...
#
# Needs a mount namespace and a PID namespace of its own. The network is the machine's, as what is installed comes from
# there; where from, apt and npm are told as on the machine.
#
#   root          an overlay: ROOT below, memory above
#   /cryonet      the files of CHECKOUT that git knows
#   DOWNLOADS     what apt and npm fetched, kept for the next time; one at a time
#   /dev/net/tun  the machine's
set -eu
root=$1 checkout=$2 downloads=$3
shift 3

exec 9>"$downloads/lock"
flock 9

mount -t tmpfs -o mode=0755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o "lowerdir=$root,upperdir=/mnt/upper,workdir=/mnt/work" overlay /mnt/root
cd /mnt/root

mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs -o mode=0755 tmpfs dev
mkdir dev/net dev/pts dev/shm
for device in null zero full random urandom tty net/tun; do
  : >"dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=0755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp

mkdir -p "$downloads/apt" "$downloads/npm" var/cache/npm
mount --bind "$downloads/apt" var/cache/apt/archives
mount --bind "$downloads/npm" var/cache/npm

cp "$(readlink -f /etc/resolv.conf)" etc/resolv.conf
apt-config dump Acquire >etc/apt/apt.conf.d/99machine
npm config get registry cafile proxy https-proxy noproxy | grep -Ev '=(|null|undefined)$' >root/.npmrc || true
authorities=$(sed -n 's/^cafile=//p' root/.npmrc)
if [ -n "$authorities" ]; then
  cp "$authorities" etc/npm-authorities.pem
  sed -i 's,^cafile=.*,cafile=/etc/npm-authorities.pem,' root/.npmrc
fi
echo cache=/var/cache/npm >>root/.npmrc

mkdir cryonet
git -c safe.directory='*' -C "$checkout" ls-files -z | tar -C "$checkout" --null -T - -c | tar -x --no-same-owner -C cryonet

for name in $(env | sed -n 's/^\([A-Za-z_]*_proxy\|[A-Z_]*_PROXY\)=.*/\1/p'); do
  eval "set -- \"$name=\$$name\" \"\$@\""
done
# shellcheck disable=SC2016 # for the shell in there
exec chroot . /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"
