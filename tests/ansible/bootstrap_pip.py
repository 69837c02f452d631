"""Stand in for the script by which ansible-test gets pip from the network.

Python brings a pip, which installs the one that ansible-test wants, from wherever this machine gets its packages.
"""

import ensurepip
import subprocess
import sys

if __name__ == "__main__":
    ensurepip.bootstrap()
    wanted = [word for word in sys.argv[1:] if word not in {"--no-setuptools", "--no-wheel"}]
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", *wanted], check=True)
