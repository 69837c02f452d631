"""`python -m os_migrate` is `os-migrate`."""

from os_migrate.cli import main

if __name__ == "__main__":
    main()
