"""Reading ``/metrics``."""

from prometheus_client.parser import text_string_to_metric_families

from tests.support.http import Api


class Scrape:
    """The samples of one answer of ``/metrics``."""

    def __init__(self, api: Api) -> None:
        self.answer = api.get("/metrics")
        self.text = self.answer.body.decode("utf-8")
        self._samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """Return one sample, 0 when there is none; the name goes without ``datastorage_``."""
        return self._samples.get((f"datastorage_{name}", frozenset(labels.items())), 0.0)

    def label_values(self, name: str, label: str) -> set[str]:
        """Return every value of one label of one metric."""
        return {
            dict(labels)[label]
            for found, labels in self._samples
            if found == f"datastorage_{name}" and label in dict(labels)
        }
