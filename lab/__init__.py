"""Two real OpenStack clouds on this machine, for demonstrations and acceptance tests.

Layers, lowest first: ``process`` and ``console`` (run a program, tell what happens), ``settings`` (names, addresses,
paths), ``cache`` (what is slow to build), ``rootfs`` and ``images`` (build it), ``container`` and ``network`` (a cloud's
namespaces), ``controlplane`` (what runs in a container:
configuration, services, schema, bootstrap, seed), ``operations`` (up,
down, destroy) and ``cli``. The folder ``inside`` holds the files that run in a container and import nothing from here.
"""
