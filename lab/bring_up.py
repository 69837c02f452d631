"""Bring everything up: build what the cache lacks, start both clouds, fill them. What can overlap does.

    install ─┬─ rootfs ── schema ─┬─ src: foundation ── identity ─┬─ services ── content ─┐
             │                    └─ dst: the same                │                       ├─ up
             └─ images ───────────────────────────────────────────┴─ src, dst: upload ────┘

Each box is a stage whose time is told. If one fails, the others are given up.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab import clouds_yaml, images, process, rootfs, secrets_file
from lab.console import Console
from lab.container import Container
from lab.controlplane import schema, seed, start
from lab.controlplane.probes import http_answers, wait_for
from lab.errors import Cancelled
from lab.machine import install_on_machine
from lab.settings import BUILD_LOG_DIR, CACHE_DIR, STAGES_FILE, STATE_DIR, Cloud


class BringUp:
    """One run of `up`: every box of the drawing is a task in a thread, and waits for those it builds on."""

    def __init__(self, clouds: Sequence[Cloud], console: Console) -> None:
        """Prepare the machine; no task has begun yet."""
        self.clouds = clouds
        self.console = console
        STATE_DIR.mkdir(mode=0o711, parents=True, exist_ok=True)
        BUILD_LOG_DIR.mkdir(mode=0o700, exist_ok=True)
        console.say(f"state in {STATE_DIR}, cache in {CACHE_DIR}")
        install_on_machine(console)
        self.secrets = secrets_file.load()
        clouds_yaml.write(self.secrets)
        seed.make_ssh_key()

    def run(self) -> None:
        """Bring the clouds up. If a task fails the others are given up, and its error is raised."""
        with ThreadPoolExecutor(3 + 5 * len(self.clouds)) as pool:
            built_rootfs = pool.submit(self._build_rootfs)
            built_schema = pool.submit(self._build_schema, built_rootfs)
            built_images = pool.submit(self._build_images)
            tasks: list[Future[Any]] = [built_rootfs, built_schema, built_images]
            for cloud in self.clouds:
                foundation = pool.submit(self._start_foundation, cloud, built_rootfs, built_schema)
                identity = pool.submit(self._start_identity, cloud, foundation)
                services = pool.submit(self._start_services, cloud, identity)
                content = pool.submit(self._make_content, cloud, services)
                upload = pool.submit(self._upload_images, cloud, built_images, identity)
                tasks += [foundation, identity, services, content, upload]
            try:
                wait(tasks, return_when=FIRST_EXCEPTION)
            finally:
                if not all(task.done() and task.exception() is None for task in tasks):
                    process.cancel()
        _raise_first_error(tasks)
        STAGES_FILE.write_text(json.dumps([asdict(stage) for stage in self.console.stages], indent=1) + "\n")

    def _build_rootfs(self) -> Path:
        if rootfs.entry().exists:
            self.console.say("root filesystem: from the cache")
            return rootfs.ensure()
        with self.console.stage("root filesystem"):
            return rootfs.ensure()

    def _build_schema(self, built_rootfs: Future[Path]) -> Path:
        tree = built_rootfs.result()
        if schema.entry().exists:
            self.console.say("databases: from the cache")
            return schema.ensure(tree)
        with self.console.stage("databases"):
            return schema.ensure(tree)

    def _build_images(self) -> Path:
        if images.entry().exists:
            self.console.say("images: from the cache")
            return images.ensure()
        with self.console.stage("images"):
            return images.ensure()

    def _start_foundation(self, cloud: Cloud, built_rootfs: Future[Path], built_schema: Future[Path]) -> Container:
        tree, databases = built_rootfs.result(), built_schema.result()
        with self.console.stage(f"{cloud.name}: container, MariaDB, RabbitMQ"):
            return start.start_foundation(cloud, tree, databases, self.secrets)

    def _start_identity(self, cloud: Cloud, foundation: Future[Container]) -> Container:
        container = foundation.result()
        with self.console.stage(f"{cloud.name}: users and catalogue"):
            return start.start_identity(container, self.secrets)

    def _start_services(self, cloud: Cloud, identity: Future[Container]) -> None:
        container = identity.result()
        with self.console.stage(f"{cloud.name}: OpenStack services"):
            start.start_services(container)

    def _make_content(self, cloud: Cloud, services: Future[None]) -> None:
        services.result()
        with self.console.stage(f"{cloud.name}: flavors, networks, security groups"):
            seed.seed(cloud)

    def _upload_images(self, cloud: Cloud, built_images: Future[Path], identity: Future[Container]) -> None:
        container = identity.result()
        folder = built_images.result()
        wait_for(container, "glance-api", http_answers(9292))
        with self.console.stage(f"{cloud.name}: images"):
            seed.seed_images(cloud, folder)


def _raise_first_error(tasks: Sequence[Future[Any]]) -> None:
    """Raise the error that made the others give up, rather than one of theirs."""
    errors = [error for task in tasks if (error := task.exception()) is not None]
    errors.sort(key=lambda error: isinstance(error, Cancelled))
    if errors:
        raise errors[0]
