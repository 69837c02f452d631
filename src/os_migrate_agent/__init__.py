"""The part of OS Migrate that runs on a conversion host, as root: standard library only, Python 3.6 on.

    talk ATTEMPT...                              a line of JSON on stdin asks for a verb, a line on stdout answers, until EOF
    scan STATE VOLUME EXTENTS COVERAGE DIGEST S  a task: runs in a unit, tells in the file STATE how far
    copy STATE VOLUME EXTENTS COMPRESSION SOCKET SOCKET  likewise
    serve VOLUME SOCKET COMMAND...               becomes an NBD server of that volume
    send VOLUME SOCKET EXTENTS                   sends it compressed to whoever connects
    throttle LIMIT ADDRESS PORT                  connects, for ssh, and lets no more through than LIMIT bytes a second

A job is a transient systemd unit. Its directory, one for each attempt, holds UNIT.job (what to remove with it) and, for
tasks, UNIT.state. A verb that fails answers why. One process serves a whole migration: under emulation, a start of Python
takes a second from the copy.

Whoever works on an attempt holds it: a lock that ends with the conversation, however that ends.

A volume is always found by its serial, by every task anew: names and their order are the guest kernel's whim.

`door` takes the orders; `devices`, `units`, `attempts` and `facts` are what the verbs do, the others the tasks.
"""
