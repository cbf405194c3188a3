"""``datastorage validate``: does this machine have what the service and its developers need?

Ten checks, listed in ``run.py``. A check measures one thing and returns it as a sentence, or says what is
broken and how to repair it. Nothing but click and the standard library is imported before the check that
needs it: a missing package is one of the findings.
"""
