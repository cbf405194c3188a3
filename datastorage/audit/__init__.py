"""Audit events: what every service of the platform did, in order, for good (BR-STORAGE-001..020).

Events are appended one by one or in batches, never changed, and found again by filters and pages.
A 2xx answer means the event is committed; the same ``event_id`` sent twice is stored once.
"""
