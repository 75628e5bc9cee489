"""`python -m cli`, for where the console command is not on the path."""

import sys

from cli.main import main

sys.exit(main())
