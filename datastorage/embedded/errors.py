"""The one error of this package; it never reaches an HTTP caller."""


class EmbeddedServerError(RuntimeError):
    """An embedded server is missing, did not start or is not running; the message says what to do."""
