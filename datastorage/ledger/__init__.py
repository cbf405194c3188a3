"""The ledger: every stored event has one leaf in one append-only tree, which anybody can check offline.

The modules are pure: bytes in, bytes out. They need ``cryptography`` and ``cbor2`` and nothing of the
service: the verifier (``datastorage.verification``) is made of them and runs where the service is not.
"""
