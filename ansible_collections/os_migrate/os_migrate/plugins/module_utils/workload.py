"""The options that the modules for the stages of a server's migration share."""

WORKLOAD = dict(
    data=dict(type="dict"),
    transfer_uuid=dict(type="str"),
    conversion_host=dict(type="dict"),
    src_conversion_host_address=dict(type="str"),
    dst_conversion_host_address=dict(type="str"),
    ssh_key_path=dict(type="path", no_log=False),
    ssh_user=dict(type="str"),
    log_file=dict(type="path"),
    state_file=dict(type="path"),
    timeout=dict(type="int"),
)

WITH_DATA = dict(WORKLOAD, data=dict(type="dict", required=True))
