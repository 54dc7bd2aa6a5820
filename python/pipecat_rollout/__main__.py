"""`python -m pipecat_rollout`: the program."""

import sys

from ._program import become

become(sys.argv[1:])
