"""The two blueprints of the feature, and the problems that their reads may end in."""

from flask import Blueprint

INCIDENTS = Blueprint("incidents", "datastorage.incidents.routes", url_prefix="/api/v1/incidents")
SUCCESS_RATES = Blueprint("success_rates", "datastorage.incidents.routes", url_prefix="/api/v1/success-rate")

READ_PROBLEMS = (
    "invalid-parameter",
    "deadlock",
    "transaction-conflict",
    "service-unavailable",
    "query-timeout",
)
FILTER_PROBLEMS = (
    *READ_PROBLEMS,
    "invalid-severity",
    "invalid-status",
    "invalid-time-range",
    "invalid-cursor",
)
