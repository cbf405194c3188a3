"""A service whose way to the database can be broken."""

from dataclasses import dataclass

from tests.api.dlq.desk import Desk
from tests.lab.proxy import Proxy
from tests.support.http import Api
from tests.support.service import ServiceProcess


@dataclass
class ProxiedService:
    """A running service, the proxy before its database, and its queue."""

    service: ServiceProcess
    proxy: Proxy
    desk: Desk

    @property
    def api(self) -> Api:
        """A client of the service."""
        return self.service.api
