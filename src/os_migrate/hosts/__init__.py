"""The conversion hosts: deploy them, put the tools on them, run jobs there."""
