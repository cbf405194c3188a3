"""Every metric of the service, in one table: ``catalogue``.

The values live in this process, or in mapped files shared by all workers when
``PROMETHEUS_MULTIPROC_DIR`` is set before the Prometheus client is first imported. Serving them is
the business of ``datastorage.platform.web.http_metrics``. Serves BR-STORAGE-019.
"""

from datastorage.platform.metrics.catalogue import Metrics
from datastorage.platform.metrics.labels import UNKNOWN, label_or_unknown

__all__ = ["UNKNOWN", "Metrics", "label_or_unknown"]
