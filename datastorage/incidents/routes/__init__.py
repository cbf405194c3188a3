"""The incident endpoints, one module per noun; importing this package fills both blueprints."""

from datastorage.incidents.routes import aggregates, export, listing, success_rates, writes
from datastorage.incidents.routes.blueprints import INCIDENTS, SUCCESS_RATES

__all__ = ["INCIDENTS", "SUCCESS_RATES", "aggregates", "export", "listing", "success_rates", "writes"]
