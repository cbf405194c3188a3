"""PostgreSQL and Redis as child processes, for development and tests; never for production.

Both listen on 127.0.0.1 alone, ask for a generated password, keep every committed write through a
kill, and end when the process that started them ends.
"""
