"""`python -m local.aws --root=… --block=…`: host one instance until SIGTERM."""

import sys

from local.aws.host import main

sys.exit(main(sys.argv[1:]))
