"""Sample data: one believable remediation after another, sent through the HTTP API of a running service.

``story`` makes the content up and does no input or output; ``sender`` sends it and makes nothing up.
"""
