"""The endpoints that read incidents."""

from datastorage.incidents.reading.routes import export, listing

__all__ = ["export", "listing"]
