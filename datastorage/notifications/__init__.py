"""Notification audit: one record per delivery of a notification, unique by its id (BR-STORAGE-001, -009).

Records are appended, never changed. A 2xx answer means the record is committed.
"""
