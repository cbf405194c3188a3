"""The workflow catalogue: versions of remediation workflows, and the search that ranks them.

A version never changes once it is stored, only its status and its counters do. Of every name exactly
one version is the latest, and only latest versions are found by a search.
"""
