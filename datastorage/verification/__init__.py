"""Checks evidence offline, for people who do not trust the service: an event, a log, an archived month.

It imports nothing of the service but the pure modules of the ledger, and needs ``cryptography``, ``cbor2``
and, for its commands, ``click``: the client package ships it.
"""
