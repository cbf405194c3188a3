"""Writing incidents: what producers send, how an action goes on, and the tables behind it."""
