"""Upper bounds of the buckets of histograms, in seconds."""

from typing import Final

DEF: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
QUERY: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
POOL_WAIT: Final = (*QUERY, 2.5, 5, 10, 30)
HTTP: Final = tuple(0.001 * 2**power for power in range(16))
ENQUEUE: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3)
REVIEW: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
RECOVERY_AGE: Final = (1, 10, 60, 300, 900, 3600, 14400, 86400)
SEAL_LAG: Final = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600)
DRAIN: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10)
