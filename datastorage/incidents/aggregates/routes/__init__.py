"""The endpoints that count incidents."""

from datastorage.incidents.aggregates.routes import counts, success_rates

__all__ = ["counts", "success_rates"]
