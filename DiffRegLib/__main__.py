"""`python -m DiffRegLib` is `diffreg`."""

import sys

from DiffRegLib.cli import main

if __name__ == "__main__":
    sys.exit(main())
