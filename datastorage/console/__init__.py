"""Pages for people at a browser, under ``/console``: so far how they log in, and what they see of errors.

Sessions, forms and the policy of pages are in ``platform/access/sessions.py`` and ``platform/web/html.py``.
"""
