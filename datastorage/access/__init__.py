"""What callers can ask about themselves, and what operators do with tokens (access.md 11, 16)."""
