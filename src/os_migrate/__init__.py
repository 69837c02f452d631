"""OS Migrate: move the virtual machines of an OpenStack project into another OpenStack cloud."""

__version__ = "2.0.0.dev0"
