"""``datastorage validate``: does everything stand that the service, and those who work on it, need?

Ten checks, each a small object in the list of ``contents.py``. A check measures one thing and returns it
as a sentence, or says what is broken and what to type. Nothing outside the standard library is imported
before the check that needs it: a missing package is one of the findings.
"""
