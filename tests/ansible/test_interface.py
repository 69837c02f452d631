"""The collection has all that operators of OS Migrate 1.0 know, by its name. The lists are facts of that interface."""

import re

import pytest
import yaml

from os_migrate.files.variables import VARIABLES
from tests.ansible.conftest import COLLECTION, documented

KINDS = [
    "networks",
    "subnets",
    "routers",
    "router_interfaces",
    "security_groups",
    "security_group_rules",
    "images",
    "keypairs",
    "workloads",
    "flavors",
    "projects",
    "users",
    "user_project_role_assignments",
    "users_keypairs",
]

MODULES = [
    "auth_info",
    "read_resources",
    "validate_resource_files",
    "os_conversion_host_info",
    "os_keypairs_info",
    "os_role_assignments_info",
    "os_routers_info",
    "os_security_groups_info",
    "export_network",
    "export_subnet",
    "export_router",
    "export_router_interfaces",
    "export_security_group",
    "export_security_group_rules",
    "export_image_meta",
    "export_image_blob",
    "export_flavor",
    "export_keypair",
    "export_project",
    "export_user",
    "export_user_project_role_assignment",
    "export_workload",
    "export_detached_volume",
    "import_network",
    "import_subnet",
    "import_router",
    "import_router_interface",
    "import_security_group",
    "import_security_group_rule",
    "import_image",
    "import_flavor",
    "import_keypair",
    "import_project",
    "import_user",
    "import_user_project_role_assignment",
    "import_workload_prelim",
    "import_workload_dst_check",
    "import_workload_src_check",
    "import_workload_export_volumes",
    "import_workload_transfer_volumes",
    "import_workload_create_instance",
    "import_workload_src_cleanup",
    "import_workload_dst_failure_cleanup",
    "import_volumes_export",
    "import_volumes_transfer",
    "import_volumes_src_cleanup",
]

ROLES = [
    *["prelude_common", "prelude_src", "prelude_dst", "validate_resource_files", "validate_data_dir"],
    *(f"{way}_{kind}" for way in ("export", "import") for kind in [*KINDS, "detached_volumes"]),
    *["conversion_host", "conversion_host_content"],
]

PLAYBOOKS = [
    *(f"{way}_{kind}" for way in ("export", "import") for kind in [*KINDS, "detached_volumes"]),
    *["deploy_conversion_hosts", "delete_conversion_hosts", "validate_data_dir"],
]

FILTERS = ["stringfilter", "json_query"]

CLOUD = ["auth", "auth_type", "region_name", "validate_certs", "ca_cert", "client_cert", "client_key"]
FILTERED = "flavors images keypairs networks projects routers security_groups subnets users workloads detached_volumes volumes user"
HOST = [
    "host_name",
    "image_name",
    "flavor_name",
    "external_network_name",
    "net_name",
    "subnet_name",
    "router_name",
    "secgroup_name",
    "keypair_name",
    "net_mtu",
    "subnet_dns_nameservers",
    "availability_zone",
    "manage_network",
    "manage_fip",
    "floating_ip_address",
    "host_delete_fip",
    "host_boot_from_volume",
    "host_volume_size",
    "host_pre_content_hook",
    "host_post_content_hook",
]

NAMES = [
    *["data_dir", "clouds_path", "validate_files", "export_images_blobs", "image_blobs_dir"],
    *(f"{x}_{name}" for x in ("src", "dst") for name in [*CLOUD, "filter_current_project", "filters"]),
    *(f"{kind}_filter" for kind in FILTERED.split()),
    *[
        "workloads_boot_disk_copy",
        "workloads_data_copy",
        "workload_stop_before_migration",
        "workload_cleanup_on_failure",
    ],
    *["workload_boot_volume_prefix", "timeout", "conversion_keypair_private_path"],
    *(f"{x}_conversion_{name}" for x in ("src", "dst") for name in HOST),
    *["conversion_subnet_cidr", "conversion_subnet_alloc_start", "conversion_subnet_alloc_end", "conversion_router_ip"],
    *["conversion_host_deploy_timeout", "conversion_keypair_generate", "conversion_link_keypair_private_path"],
    *["conversion_host_ssh_key_type", "conversion_host_ssh_user", "conversion_host_content_install"],
    *(f"{word}_{x}_conversion_host" for word in ("deploy", "delete") for x in ("src", "dst")),
    *["link_conversion_hosts", "reboot_conversion_hosts"],
]

OPTIONS = {
    "import_workload_prelim": "data log_dir dst_filters src_conversion_host",
    "import_workload_dst_check": "data dst_filters",
    "import_workload_src_check": "name",
    "import_workload_export_volumes": """data conversion_host ssh_key_path ssh_user boot_volume_prefix log_file state_file timeout
        src_conversion_host_address""",
    "import_workload_transfer_volumes": """data conversion_host ssh_key_path ssh_user transfer_uuid src_conversion_host_address
        volume_map log_file state_file timeout dst_conversion_host_address""",
    "import_workload_create_instance": "data block_device_mapping",
    "import_workload_src_cleanup": """data conversion_host ssh_key_path ssh_user transfer_uuid volume_map log_file state_file
        timeout""",
    "import_workload_dst_failure_cleanup": """data conversion_host ssh_key_path ssh_user transfer_uuid volume_map log_file
        state_file timeout""",
}


@pytest.mark.parametrize("name", MODULES)
def test_the_module_is_there(name):
    assert (COLLECTION / f"plugins/modules/{name}.py").is_file()


@pytest.mark.parametrize("name", ROLES)
def test_the_role_is_there(name):
    assert (COLLECTION / f"roles/{name}/tasks/main.yml").is_file()


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_the_playbook_is_there_and_runs_on_the_migrator(name):
    plays = yaml.safe_load((COLLECTION / f"playbooks/{name}.yml").read_text())
    assert plays[0]["hosts"] == "migrator"


@pytest.mark.parametrize("name", FILTERS)
def test_the_filter_is_there(name):
    assert (COLLECTION / f"plugins/filter/{name}.py").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_the_variable_means_something(name):
    assert f"os_migrate_{name}" in VARIABLES


@pytest.mark.parametrize("name", OPTIONS)
def test_the_module_takes_the_options_that_playbooks_give(name):
    assert set(OPTIONS[name].split()) <= set(documented(name))


def test_all_modules_have_the_defaults_that_a_play_sets_for_the_group():
    group = yaml.safe_load((COLLECTION / "meta/runtime.yml").read_text())["action_groups"]["os_migrate"]
    assert sorted(group) == sorted(file.stem for file in (COLLECTION / "plugins/modules").glob("*.py"))


def test_nothing_is_ignored_by_sanity_but_the_licence():
    lines = (COLLECTION / "tests/sanity/ignore-2.18.txt").read_text().splitlines()
    modules = sorted(file.name for file in (COLLECTION / "plugins/modules").glob("*.py"))
    assert [line.partition(" #")[0] for line in lines] == [
        f"plugins/modules/{name} validate-modules:missing-gplv3-license" for name in modules
    ]


def test_playbooks_and_roles_use_only_roles_that_are_there():
    roles = {role.name for role in (COLLECTION / "roles").iterdir()}
    files = [*COLLECTION.glob("playbooks/*.yml"), *COLLECTION.glob("roles/*/tasks/*.yml")]
    used = {
        name for file in files for name in re.findall(r"(?:role|name): os_migrate\.os_migrate\.(\w+)", file.read_text())
    }
    assert used
    assert used <= roles


def test_every_role_says_what_it_takes():
    for role in (COLLECTION / "roles").iterdir():
        specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]
        assert set(specs) == {file.stem for file in (role / "tasks").glob("*.yml")} & set(specs), role.name
        assert "main" in specs, role.name


@pytest.mark.parametrize(
    "file", sorted((COLLECTION / "roles").glob("import_*/tasks/*.yml")), ids=lambda f: f"{f.parts[-3]}-{f.stem}"
)
def test_a_role_needs_no_module_defaults(file):
    def modules_in(tasks: list[dict[str, object]]) -> list[dict[str, object]]:
        found = []
        for task in tasks:
            found += [said for name, said in task.items() if name.startswith("os_migrate.os_migrate.")]
            for part in ("block", "rescue", "always"):
                found += modules_in(task.get(part, []))
        return found

    for said in modules_in(yaml.safe_load(file.read_text())):
        assert {"data_dir", "path"} & set(said), said
