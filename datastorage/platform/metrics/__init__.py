"""Every metric of the service, in one table: ``catalogue``. Serves BR-STORAGE-019.

The values live in this process, or in mapped files shared by all workers when ``PROMETHEUS_MULTIPROC_DIR`` is
set before the Prometheus client is first imported. ``datastorage.platform.web.http_metrics`` serves them.
"""

from datastorage.platform.metrics.catalogue import Metrics
from datastorage.platform.metrics.label_values import UNKNOWN

__all__ = ["UNKNOWN", "Metrics"]
