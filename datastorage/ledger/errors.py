"""What can be wrong with bytes that claim to be evidence."""


class MalformedEvidence(ValueError):
    """The bytes do not have the form they should have; the message says which form and what is wrong."""


class WrongSignature(Exception):
    """No key at hand signed this."""
