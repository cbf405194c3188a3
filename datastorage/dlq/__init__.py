"""Dead-letter queue: where an audit record waits when PostgreSQL cannot take it (BR-AUDIT-001, DD-009).

An acknowledged record is either committed in PostgreSQL or present in Redis until it is committed or
moved to the dead-letter stream. Nothing here ever deletes or trims one on its own. This feature knows
no other: what it queues is handed in as payload, what stores it again is handed in as a function.
"""
