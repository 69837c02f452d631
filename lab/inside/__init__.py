"""Files that run in a container, with its own Python: they import nothing from the rest of the lab."""
