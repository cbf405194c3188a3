"""Who calls and what the caller may do (access.md): identities, the modes that find them, and their files.

``AccessControl`` asks the configured modes in order; the gates in ``platform/web`` ask ``AccessControl``.
Handlers read an ``Identity``, never a header.
"""
