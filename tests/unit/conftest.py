from tests.support.logs import configure, configure_alone, output

__all__ = ["configure", "configure_alone", "output"]
