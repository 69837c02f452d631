"""The door for Ansible's modules, beside the command line: each calls one function here by its name.

    call        what a module was called with; what it answers
    settings    the settings of a call
    prelude     the files that a playbook begins with
    resources   export, import, validation and listing of the kinds beside servers
    workloads   the stages of a migration, each in a process of its own, and whole batches
    hosts       the conversion hosts

Plain values in, plain dicts out; whatever goes wrong is an `OSMigrateError`, and nothing is printed.
"""
