#!/bin/busybox sh
# What udhcpc calls when it has got or lost a lease.
case "$1" in
  bound | renew) ;;
  *) exit 0 ;;
esac
[ "$1" = bound ] && ip address flush dev "$interface"
ip address replace "$ip/$mask" dev "$interface"
ip link set "$interface" mtu "${mtu:-1450}"
for gateway in $router; do
  ip route replace default via "$gateway"
done
# Pairs of network and gateway: the way to the metadata service is among them.
set -- $staticroutes
while [ -n "$2" ]; do
  ip route replace "$1" via "$2"
  shift 2
done
exit 0
