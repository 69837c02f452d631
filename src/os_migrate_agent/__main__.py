"""Start the agent."""

import sys

from os_migrate_agent.door import main

sys.exit(main(sys.argv[1:]))
