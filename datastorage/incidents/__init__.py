"""Incidents: what was done about which signal, on which resource, and how it ended (BR-STORAGE-021..034).

An incident is one row of ``resource_action_traces``. They are listed, exported, counted, rated and,
beyond what existing clients know, written. ``action_id`` makes a write safe to send again.
"""
