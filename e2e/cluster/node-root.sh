#!/usr/bin/env bash
# Gives a node a root of its own – its disk, with the machine's programs read-only – and leaves the machine's behind:
# what a pod mounts from its host is then the node's alone, and outlives a reboot of the node.
# usage: node-root.sh NODE (from node-enter.sh, as PID 1)
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"
. "$SRC/cgroup.sh"
node=$1 root=$STATE/nodes/$1/root

# bind SOURCE TARGET: read-only.
bind() { mkdir -p "$root$2"; mount --bind "$1" "$root$2"; mount -o remount,bind,ro "$root$2"; }

mount --bind "$root" "$root"
cd "$root"
mkdir -p dev proc sys run tmp root etc var/log opt
for path in /bin /sbin /lib /lib32 /lib64; do
  if [ -L $path ]; then ln -sfn "$(readlink $path)" ".$path"; elif [ -d $path ]; then bind $path $path; fi
done
bind /usr /usr
bind "$BIN" /opt/cluster
bind "$STATE/images" /opt/images
bind "$SRC" /opt/e2e
for file in passwd group nsswitch.conf ld.so.cache alternatives; do [ ! -e /etc/$file ] || cp -a /etc/$file etc/; done

mount --rbind /dev dev
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t bpf bpf sys/fs/bpf
mount_cgroups "$root/sys/fs/cgroup"
echo "127.0.0.1 localhost" >etc/hosts   # the kubelet gives it to every pod in the host's network
mkdir -p run/netns run/lock

mkdir -p .machine
pivot_root . .machine
cd /
umount -l /.machine
rmdir /.machine
# The kubelet and containerd expect mounts to travel between this tree and the pods'.
mount --make-rshared /
hostname "$node"
exec env -i PATH=/opt/cluster:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root NODE="$node" DNS_IP=$DNS_IP /opt/e2e/node-init.sh
