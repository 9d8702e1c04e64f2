"""Receives what Airflow's OpenTelemetry exporter sends, as a collector does."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest as Exported,
)


@dataclass
class Sink:
    """The values that were sent, oldest first, by name."""

    url: str = ""
    values: dict[str, list[float]] = field(default_factory=dict)

    def take(self, body: bytes) -> None:
        exported = Exported.FromString(body)
        for resource in exported.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    points = getattr(metric, metric.WhichOneof("data")).data_points
                    numbers = self.values.setdefault(metric.name, [])
                    numbers += [each.as_double or each.as_int for each in points if _plain(each)]

    def total(self, name: str) -> float:
        """What a counter counted in all processes: each sends its own sum once, at its end."""
        return sum(self.values.get(f"airflow.{name}", []))


def _plain(point: object) -> bool:
    return hasattr(point, "as_double")  # a histogram has no single value


@contextmanager
def metrics_sink() -> Iterator[Sink]:
    sink = Sink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sink.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        sink.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield sink
        server.shutdown()
