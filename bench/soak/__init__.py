"""``python -m bench.soak``: does anything grow when the load goes on, with and without hostile clients?"""
