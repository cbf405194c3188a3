"""Connections, faults, columns and cursors: everything about PostgreSQL that no feature owns."""
