"""Monthly partitions, ready before the first event of the month arrives.

The previous month, the current one and the next few exist; a month that an operator detached is
left alone. Old partitions are removed by operators, never by the service.
"""
