"""``python -m styletransfer`` is the command ``styletransfer``."""

import sys

from styletransfer.cli import main

sys.exit(main())
