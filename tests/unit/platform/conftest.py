from tests.support.logs import configure, output

__all__ = ["configure", "output"]
