"""Configuration files of the OpenStack services."""

from __future__ import annotations

from collections.abc import Mapping

from lab.controlplane.ini import Ini, Sections, merged
from lab.secrets_file import Secrets
from lab.settings import REGION, Cloud

# Everything in a container runs as root, and MariaDB's root needs no password on the socket, the only way in.
SOCKET = "/run/mysqld/mysqld.sock"
SCHEMAS = ("keystone", "glance", "placement", "nova_api", "nova", "nova_cell0", "neutron", "cinder")
METADATA_PORT = 8775

_LOG_LEVELS = {
    "amqp": "WARN",
    "iso8601": "WARN",
    "keystoneauth": "WARN",
    "keystonemiddleware": "WARN",
    "oslo.messaging": "INFO",
    "oslo_messaging": "INFO",
    "requests": "WARN",
    "sqlalchemy": "WARN",
    "stevedore": "WARN",
    "urllib3": "WARN",
}


def database_url(schema: str) -> str:
    """Return how a service connects to its schema."""
    return f"mysql+pymysql://root@localhost/{schema}?unix_socket={SOCKET}&charset=utf8"


def _database(section: str, schema: str) -> Sections:
    return {
        section: {
            "connection": database_url(schema),
            "max_pool_size": 5,
            "max_overflow": 20,
            "connection_recycle_time": 600,
        }
    }


def _messaging() -> Sections:
    return {
        "DEFAULT": {
            # RabbitMQ's built-in user: it may connect from the container's own loopback only.
            "transport_url": "rabbit://guest:guest@127.0.0.1:5672/",
            "default_log_levels": ",".join(f"{name}={level}" for name, level in _LOG_LEVELS.items()),
        },
        "oslo_messaging_rabbit": {"heartbeat_timeout_threshold": 0},
        "oslo_messaging_notifications": {"driver": "noop"},
    }


class Configuration:
    """The configuration of one cloud; every method without an underscore is one file."""

    def __init__(self, cloud: Cloud, secrets: Secrets) -> None:
        """Keep the cloud's names and addresses, and the lab's passwords."""
        self.cloud = cloud
        self.secrets = secrets

    def files(self) -> dict[str, Ini]:
        """Return every file by its path in the container."""
        return {
            "/etc/keystone/keystone.conf": self.keystone(),
            "/etc/placement/placement.conf": self.placement(),
            "/etc/glance/glance-api.conf": self.glance(),
            "/etc/nova/nova.conf": self.nova(),
            "/etc/neutron/neutron.conf": self.neutron(),
            "/etc/neutron/plugins/ml2/ml2_conf.ini": self.ml2(),
            "/etc/neutron/plugins/ml2/linuxbridge_agent.ini": self.linuxbridge_agent(),
            "/etc/neutron/l3_agent.ini": self.l3_agent(),
            "/etc/neutron/dhcp_agent.ini": self.dhcp_agent(),
            "/etc/neutron/metadata_agent.ini": self.metadata_agent(),
            "/etc/cinder/cinder.conf": self.cinder(),
        }

    def _as_user(self, user: str, section: str, **more: object) -> Sections:
        """Let the section's client log in as a service's user."""
        login: Mapping[str, object] = {
            "auth_url": self.cloud.auth_url,
            "auth_type": "password",
            "project_domain_name": "Default",
            "user_domain_name": "Default",
            "project_name": "service",
            "username": user,
            "password": self.secrets.service,
            "region_name": REGION,
        }
        return {section: {**login, **more}}

    def _token_check(self, user: str) -> Sections:
        return self._as_user(
            user,
            "keystone_authtoken",
            www_authenticate_uri=self.cloud.auth_url,
            memcached_servers="127.0.0.1:11211",
            service_token_roles="service",
            service_token_roles_required=True,
        )

    def _service_token(self, user: str) -> Sections:
        """Send a service token along: Cinder refuses to detach a volume without."""
        return self._as_user(user, "service_user", send_service_user_token=True)

    def keystone(self) -> Ini:
        """Identity."""
        return merged(
            _database("database", "keystone"),
            {
                "DEFAULT": {"use_stderr": True},
                "token": {"provider": "fernet", "expiration": 86400},
                "fernet_tokens": {"key_repository": "/data/keystone/fernet"},
                "fernet_receipts": {"key_repository": "/data/keystone/fernet"},
                "credential": {"key_repository": "/data/keystone/credential"},
                "cache": {
                    "enabled": True,
                    "backend": "dogpile.cache.memcached",
                    "memcache_servers": "127.0.0.1:11211",
                },
                # Every service logs in often; strong hashes would cost seconds.
                "identity": {"password_hash_rounds": 4},
            },
        )

    def placement(self) -> Ini:
        """Placement."""
        return merged(
            _database("placement_database", "placement"),
            self._token_check("placement"),
            {"DEFAULT": {"use_stderr": True}, "api": {"auth_strategy": "keystone"}},
        )

    def glance(self) -> Ini:
        """Images, in files."""
        return merged(
            _database("database", "glance"),
            self._token_check("glance"),
            {
                "DEFAULT": {
                    "bind_host": "0.0.0.0",
                    "workers": 0,
                    "use_stderr": True,
                    "node_staging_uri": "file:///data/glance/staging",
                    "enabled_import_methods": "[glance-direct,web-download]",
                },
                "glance_store": {
                    "stores": "file,http",
                    "default_store": "file",
                    "filesystem_store_datadir": "/data/glance/images",
                },
                "paste_deploy": {"flavor": "keystone"},
                "oslo_concurrency": {"lock_path": "/run/lock/glance"},
            },
        )

    def nova(self) -> Ini:
        """Compute, by QEMU's own emulation."""
        return merged(
            _messaging(),
            _database("api_database", "nova_api"),
            _database("database", "nova"),
            self._token_check("nova"),
            self._service_token("nova"),
            self._as_user("placement", "placement"),
            self._as_user(
                "neutron",
                "neutron",
                service_metadata_proxy=True,
                metadata_proxy_shared_secret=self.secrets.metadata,
            ),
            {
                "DEFAULT": {
                    "my_ip": self.cloud.management_ip,
                    "host": self.cloud.name,
                    "state_path": "/data/nova",
                    "instances_path": "/data/nova/instances",
                    "enabled_apis": "osapi_compute,metadata",
                    "osapi_compute_workers": 1,
                    "metadata_workers": 1,
                    "compute_driver": "libvirt.LibvirtDriver",
                    "reserved_host_memory_mb": 0,
                    "cpu_allocation_ratio": 16.0,
                    "ram_allocation_ratio": 2.0,
                    "disk_allocation_ratio": 10.0,
                    "force_raw_images": False,
                    "allow_resize_to_same_host": True,
                    # Guests that ran when the lab was stopped run again when it is started.
                    "resume_guests_state_on_host_boot": True,
                    "vif_plugging_timeout": 120,
                    "block_device_allocate_retries": 300,
                    "default_ephemeral_format": "ext4",  # the default is vfat, for which the clouds have no tool
                },
                "api": {"auth_strategy": "keystone"},
                "conductor": {"workers": 1},
                "scheduler": {"workers": 1, "discover_hosts_in_cells_interval": 30},
                "quota": dict.fromkeys(("instances", "cores", "ram", "key_pairs"), -1),
                "libvirt": {
                    "virt_type": "qemu",
                    "cpu_mode": "none",
                    "disk_cachemodes": "file=writeback",
                    "images_type": "qcow2",
                    "inject_partition": -2,
                    "nfs_mount_point_base": "/data/nova/mnt",
                },
                "vnc": {"enabled": False},
                "cinder": {"catalog_info": "volumev3::publicURL", "os_region_name": REGION},
                "glance": {"api_servers": f"http://{self.cloud.management_ip}:9292"},
                "oslo_concurrency": {"lock_path": "/run/lock/nova"},
            },
        )

    def neutron(self) -> Ini:
        """Networks: what the server and the agents share."""
        unlimited = ("network", "subnet", "port", "router", "floatingip", "security_group", "security_group_rule")
        return merged(
            _messaging(),
            _database("database", "neutron"),
            self._token_check("neutron"),
            self._as_user("nova", "nova"),
            {
                "DEFAULT": {
                    "host": self.cloud.name,
                    "state_path": "/data/neutron",
                    "core_plugin": "ml2",
                    "service_plugins": "router",
                    "api_workers": 1,
                    "rpc_workers": 1,
                    "rpc_state_report_workers": 0,
                    "notify_nova_on_port_status_changes": True,
                    "notify_nova_on_port_data_changes": True,
                    "global_physnet_mtu": 1500,
                },
                # All is root already; the privsep helpers break when run in the agents' own processes.
                "agent": {"root_helper": "", "report_interval": 15},
                "experimental": {"linuxbridge": True},
                "quotas": {f"quota_{name}": -1 for name in unlimited},
                "oslo_concurrency": {"lock_path": "/run/lock/neutron"},
            },
        )

    def ml2(self) -> Ini:
        """Networks: VXLAN for tenants, flat for the external one."""
        return merged(
            {
                "ml2": {
                    "type_drivers": "flat,vxlan,local",
                    "tenant_network_types": "vxlan",
                    "mechanism_drivers": "linuxbridge",
                    "extension_drivers": "port_security",
                },
                "ml2_type_flat": {"flat_networks": "public"},
                "ml2_type_vxlan": {"vni_ranges": "1:1000"},
                "securitygroup": {"enable_ipset": True},
            }
        )

    def linuxbridge_agent(self) -> Ini:
        """Agent that plugs ports into bridges and applies security groups."""
        return merged(
            {
                "linux_bridge": {"physical_interface_mappings": "public:ext0"},
                "vxlan": {"enable_vxlan": True, "local_ip": self.cloud.management_ip, "l2_population": False},
                "agent": {"polling_interval": 2},
                "securitygroup": {"firewall_driver": "iptables", "enable_security_group": True, "enable_ipset": True},
            }
        )

    def l3_agent(self) -> Ini:
        """Agent that runs the routers and floating IPs."""
        return merged({"DEFAULT": {"interface_driver": "linuxbridge"}})

    def dhcp_agent(self) -> Ini:
        """Agent that answers DHCP."""
        return merged(
            {
                "DEFAULT": {
                    "interface_driver": "linuxbridge",
                    "dhcp_driver": "neutron.agent.linux.dhcp.Dnsmasq",
                    "enable_isolated_metadata": True,
                    "resync_interval": 5,
                }
            }
        )

    def metadata_agent(self) -> Ini:
        """Agent that hands Nova's metadata to guests."""
        return merged(
            {
                "DEFAULT": {
                    "nova_metadata_host": "127.0.0.1",
                    "metadata_proxy_shared_secret": self.secrets.metadata,
                    "metadata_workers": 0,
                }
            }
        )

    def cinder(self) -> Ini:
        """Volumes: files on what Cinder takes for an NFS share."""
        unlimited = ("volumes", "snapshots", "gigabytes", "backups", "backup_gigabytes", "groups")
        return merged(
            _messaging(),
            _database("database", "cinder"),
            self._token_check("cinder"),
            self._service_token("cinder"),
            self._as_user("nova", "nova", interface="public"),
            {
                "DEFAULT": {
                    "my_ip": self.cloud.management_ip,
                    "host": self.cloud.name,
                    "state_path": "/data/cinder",
                    "osapi_volume_workers": 1,
                    "enabled_backends": "nfs",
                    "default_volume_type": "nfs",
                    "image_conversion_dir": "/data/cinder/conversion",
                    "glance_api_servers": f"http://{self.cloud.management_ip}:9292",
                    "auth_strategy": "keystone",
                    "rootwrap_config": "/etc/cinder/rootwrap.conf",
                    **{f"quota_{name}": -1 for name in unlimited},
                },
                "nfs": {
                    "volume_backend_name": "nfs",
                    "volume_driver": "lab_cinder.LabNfsDriver",
                    "nfs_shares_config": "/etc/cinder/nfs_shares",
                    "nfs_mount_point_base": "/data/cinder/mnt",
                    "nfs_snapshot_support": True,
                    "nfs_sparsed_volumes": True,
                    "nas_secure_file_operations": False,
                    "nas_secure_file_permissions": False,
                    "max_over_subscription_ratio": 20,
                },
                "oslo_concurrency": {"lock_path": "/run/lock/cinder"},
            },
        )
