"""The incident endpoints; importing this module fills both blueprints."""

from datastorage.incidents.aggregates import routes as aggregates
from datastorage.incidents.blueprints import INCIDENTS, SUCCESS_RATES
from datastorage.incidents.reading import routes as reading
from datastorage.incidents.writing import routes as writing

__all__ = ["INCIDENTS", "SUCCESS_RATES", "aggregates", "reading", "writing"]
